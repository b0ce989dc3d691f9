"""Task descriptions as hashed words, with literals replaced by their slots; and further texts beside them.

Every instance of a family reads the same: what is learned from "print the sum of 5 and 3" holds for any
two numbers.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

import torch

from altlas_agent.core.records import Beside
from altlas_agent.policies.base import SOURCES, Prompts
from altlas_agent.settings.policies import MAX_WORDS
from altlas_agent.tasks.files.literals import slotted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from altlas_agent.core.records import Task
    from altlas_agent.settings.policies import Reading

_WORD = re.compile(r"<(?:num|str)_\d+>|[a-z_]+|\d+|[^\sa-z0-9_]")
_LETTERS_A_WORD = 64
"""Of a text that is too long, no more than so many letters for each word that may be read are looked at."""


def words(task: Task) -> list[str]:
    """The description in lower case with its literals as slots, and language, kind and types in front."""
    found = [f"<{task.target_language}>", f"<{task.kind}>"]
    if task.signature:
        found += [f"<{param.type}>" for param in task.signature.params]
        found.append(f"<returns {task.signature.returns}>")
    return found + _WORD.findall(slotted(task.description).lower())


def encode(
    tasks: Sequence[Task], rows: Sequence[int], reading: Reading, beside: Sequence[Beside] = ()
) -> Prompts:
    """Hash the words of each prompt into 1..buckets-1; 0 pads. `beside` has a place for each task, or none at all.

    What is longer than `reading` allows is cut at its end, and told in `cuts`. A text of which nothing may be read
    is left out without a word: the settings say so.
    """
    besides = beside or [Beside()] * len(tasks)
    cuts: list[str] = []
    read = [_read(task, texts, reading, cuts) for task, texts in zip(tasks, besides, strict=True)]
    hashed = [[1 + zlib.crc32(word.encode()) % (reading.buckets - 1) for _, word in row] for row in read]
    sources = [[source for source, _ in row] for row in read]
    return Prompts(_padded(hashed), torch.tensor(rows), _padded(sources), tuple(dict.fromkeys(cuts)))


def _read(task: Task, beside: Beside, reading: Reading, cuts: list[str]) -> list[tuple[int, str]]:
    """The words of all texts of a prompt, each with the number of its source."""
    further = zip((beside.hint, beside.error, beside.context), reading[2:], strict=True)
    texts = [words(task), *(_of_text(text, most) for text, most in further)]
    found: list[tuple[int, str]] = []
    for source, (name, text, most) in enumerate(zip(SOURCES, texts, reading[1:], strict=True)):
        if most and len(text) > most:
            by = f"by policy.{name}_words" if most < MAX_WORDS else "the most that is ever read"
            cuts.append(f"{name} of {task.key}: only the first {most} words are read, {by}")
        found += [(source, word) for word in text[:most]]
    return found


def _of_text(text: str, most: int) -> list[str]:
    """At most one word more than may be read: the text may be of any length."""
    return (
        list(_first(_WORD.finditer(text[: (most + 1) * _LETTERS_A_WORD].lower()), most + 1)) if most else []
    )


def _first(found: Iterator[re.Match[str]], most: int) -> Iterator[str]:
    for _, match in zip(range(most), found, strict=False):
        yield match.group()


def _padded(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    widest = max(map(len, rows))
    return torch.tensor([[*row, *[0] * (widest - len(row))] for row in rows])
