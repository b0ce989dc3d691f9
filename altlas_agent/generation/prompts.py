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
from altlas_agent.tasks.files.literals import slotted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.core.records import Task

_WORD = re.compile(r"<(?:num|str)_\d+>|[a-z_]+|\d+|[^\sa-z0-9_]")


def words(task: Task) -> list[str]:
    """The description in lower case with its literals as slots, and language, kind and types in front."""
    found = [f"<{task.target_language}>", f"<{task.kind}>"]
    if task.signature:
        found += [f"<{param.type}>" for param in task.signature.params]
        found.append(f"<returns {task.signature.returns}>")
    return found + _WORD.findall(slotted(task.description).lower())


def encode(tasks: Sequence[Task], rows: Sequence[int], buckets: int) -> Prompts:
    """Hash the words of each description into 1..buckets-1; 0 pads."""
    hashed = [[1 + zlib.crc32(word.encode()) % (buckets - 1) for word in words(task)] for task in tasks]
    widest = max(map(len, hashed))
    padded = [row + [0] * (widest - len(row)) for row in hashed]
    return Prompts(torch.tensor(padded), torch.tensor(rows))
