"""Nearness of a program to the words of its task, and to a known solution: sets compared, no model asked.

Both are the Dice coefficient 2 |A & B| / (|A| + |B|) of two sets of features, so that writing everything down
does not pay. A feature is an operator, a literal or a construct, in the words that are the same for every
language. What this cannot see: the order of things, how often one occurs, and whether it is used rightly.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from altlas_agent.languages.build import language

if TYPE_CHECKING:
    from altlas_agent.core.records import Task
    from altlas_agent.languages.base import Structure

Features = frozenset[str]

_WORD = re.compile(r"[a-z]+")

CUES: dict[str, tuple[str, ...]] = {
    "operator +": ("plus", "add", "added", "sum", "total", "joined", "followed", "increased"),
    "operator -": ("minus", "subtract", "subtracted", "difference", "less", "decreased", "without"),
    "operator *": ("times", "multiply", "multiplied", "product", "square", "cube", "factorial", "double"),
    "operator /": ("divided", "half", "quotient", "average", "mean"),
    "operator %": ("remainder", "modulo", "even", "odd", "divisible", "multiple", "multiples"),
    "operator >": ("greater", "larger", "above", "largest", "positive", "maximum", "more", "over"),
    "operator <": ("smaller", "below", "smallest", "negative", "minimum", "fewer", "under"),
    "operator ==": ("equal", "equals", "same", "exactly"),
    "construct loop": (
        "each",
        "every",
        "all",
        "repeat",
        "count",
        "sum",
        "total",
        "numbers",
        "factorial",
        "list",
    ),
    "construct condition": ("if", "otherwise", "whether", "only", "else", "when"),
    "construct function": ("function",),
    "construct return": ("return", "returns"),
}
"""Feature -> the words of a description that ask for it. No other feature counts against a program."""


_CUED = frozenset(CUES)


def likeness(one: Features, other: Features) -> float:
    """The Dice coefficient; 1 for two empty sets."""
    sizes = len(one) + len(other)
    return 2.0 * len(one & other) / sizes if sizes else 1.0


def to_description(task: Task, code: str) -> float:
    """How far the features of a program are those that the words and literals of its task ask for.

    0 for a text that does not parse. It rewards the material of a solution, not a solution.
    """
    features = _read(task.target_language, code)
    if features is None:
        return 0.0
    wanted = _asked(task.description, task.numbers, task.strings)
    literals = frozenset(each for each in wanted if each.startswith(("number ", "string ")))
    return likeness(wanted, features & (_CUED | literals))


def to_reference(task: Task, code: str) -> float:
    """How far the features of a program are those of the task's reference solution, the names of calls included.

    0 where there is no reference, and for a text that does not parse.
    """
    features = _read(task.target_language, code)
    known = _read_reference(task.target_language, task.reference) if task.reference else None
    return 0.0 if features is None or known is None else likeness(known, features)


@lru_cache(1024)
def _asked(description: str, numbers: tuple[int, ...], strings: tuple[str, ...]) -> Features:
    words = frozenset(_WORD.findall(description.lower()))
    cues = {feature for feature, asking in CUES.items() if not words.isdisjoint(asking)}
    return frozenset(cues | {f"number {float(n):g}" for n in numbers} | {f"string {s}" for s in strings})


@lru_cache(1024)
def _read_reference(name: str, code: str) -> Features | None:
    return _read(name, code)


@lru_cache(4)  # both scorers ask for the same text
def _read(name: str, code: str) -> Features | None:
    structure = language(name).structure(code)
    return None if structure is None else _features(structure)


def _features(structure: Structure) -> Features:
    return frozenset(
        [
            *(f"operator {each}" for each in structure.operators),
            *(f"number {each:g}" for each in structure.numbers),
            *(f"string {each}" for each in structure.strings),
            *(f"construct {each}" for each in structure.constructs),
        ]
    )
