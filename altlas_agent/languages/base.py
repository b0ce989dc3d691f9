"""Language: what AltLAS can say about source text without running it. Standard library only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from altlas_agent.core.records import Constraints


MAX_CODE_CHARS = 200_000
MAX_NUMBER = 1e300
"""What is longer, or larger, is not looked at in any language."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Structure:
    """What a program is made of, in words that are the same for every language.

    Operators are written as in Python (`==`, `and`, `//`); constructs are loop, condition, function,
    return, assignment, list and `call:NAME`.
    """

    operators: frozenset[str] = frozenset()
    numbers: frozenset[float] = frozenset()
    strings: frozenset[str] = frozenset()
    constructs: frozenset[str] = frozenset()


class Language(Protocol):
    """One language: its source text as structure and as identity."""

    name: str

    def structure(self, code: str) -> Structure | None:
        """None when `code` does not parse."""
        ...

    def normal_form(self, code: str) -> str | None:
        """Text that stays the same under renaming and layout; None when `code` does not parse."""
        ...


def violations(structure: Structure, constraints: Constraints) -> tuple[str, ...]:
    """One sentence for each constraint that the program breaks; empty when it keeps them all."""
    rules = (
        ("operator", structure.operators, constraints.require_operators, constraints.forbid_operators),
        ("number", structure.numbers, constraints.require_numbers, constraints.forbid_numbers),
        ("string", structure.strings, constraints.require_strings, constraints.forbid_strings),
        ("construct", structure.constructs, constraints.require_constructs, constraints.forbid_constructs),
    )
    found: list[str] = []
    for noun, present, required, forbidden in rules:
        found += [f"{noun} {_show(item)} is required" for item in required if item not in present]
        found += [f"{noun} {_show(item)} is forbidden" for item in forbidden if item in present]
    return tuple(found)


def _show(item: float | str) -> str:
    return item if isinstance(item, str) else f"{item:g}"
