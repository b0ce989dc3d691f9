"""Task descriptions as hashed words, with literals replaced by their slots.

Every instance of a family reads the same: what is learned from "print the sum of 5 and 3" holds for any
two numbers.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

import torch

from altlas_agent.policies.base import Prompts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.core.records import Task

_WORD = re.compile(r"\"[^\"]*\"|(?<!\w)'[^']*'(?!\w)|(?<![\w])-?\d+|[a-z_]+|[^\sa-z0-9_]")


def words(task: Task) -> list[str]:
    """The description in lower case, its literals as `<num>` and `<str>` slots, with kind and types in front."""
    found = [f"<{task.target_language}>", f"<{task.kind}>"]
    if task.signature:
        found += [f"<{param.type}>" for param in task.signature.params] + [f"<returns {task.signature.returns}>"]
    counts = {"num": 0, "str": 0}
    for word in _WORD.findall(task.description.lower()):
        kind = "str" if word[0] in "\"'" and len(word) > 1 else "num" if word.lstrip("-").isdigit() else ""
        if kind:
            found.append(f"<{kind} {counts[kind]}>")
            counts[kind] += 1
        else:
            found.append(word)
    return found


def encode(tasks: Sequence[Task], rows: Sequence[int], buckets: int) -> Prompts:
    """Hash the words of each description into 1..buckets-1; 0 pads."""
    hashed = [[1 + zlib.crc32(word.encode()) % (buckets - 1) for word in words(task)] for task in tasks]
    widest = max(map(len, hashed))
    padded = [row + [0] * (widest - len(row)) for row in hashed]
    return Prompts(torch.tensor(padded), torch.tensor(rows))
