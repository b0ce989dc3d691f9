"""The literals of a description: its whole numbers and its quoted texts, in order."""

from __future__ import annotations

import re
from itertools import count

# A quote inside a word ("don't", "the words' lengths") opens and closes nothing.
_QUOTED = re.compile(r"(?<!\w)(['\"])([^\n]*?)\1(?!\w)")

# The sign counts only where a word starts: "3-5" holds 3 and 5. Parts of decimals and of names are no numbers.
_NUMBER = re.compile(r"(?<!\w)(?<![^.]\.)-?\d+(?!\w|\.\d)|(?<=\w-)\d+(?!\w|\.\d)")


def strings_of(description: str) -> tuple[str, ...]:
    """What stands between single or double quotes."""
    return tuple(match[2] for match in _QUOTED.finditer(description))


def numbers_of(description: str) -> tuple[int, ...]:
    """The whole numbers outside quotes; a minus directly before one at the start of a word is its sign."""
    plain = _QUOTED.sub(" ' ", description)
    return tuple(int(match[0]) for match in _NUMBER.finditer(plain))


def slotted(description: str) -> str:
    """The description with each literal replaced by its slot: `<num_0>`, `<str_0>` and so on."""
    strings, numbers = count(), count()
    plain = _QUOTED.sub(lambda _: f" <str_{next(strings)}> ", description)
    return _NUMBER.sub(lambda _: f" <num_{next(numbers)}> ", plain)
