"""Right answer, nearly right answer: comparison on the host of what came out of the jail.

Text from the jail is hostile. It is parsed with bounds, compared by type before value, and no object
of the program is ever rebuilt.
"""

from __future__ import annotations

import difflib
import json

MAX_ANSWER_CHARS = 65_536
MAX_COMPARED_CHARS = 400

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def parse(text: str) -> tuple[bool, Json]:
    """(True, value) for bounded JSON text, (False, None) for anything else."""
    if not text or len(text) > MAX_ANSWER_CHARS:
        return False, None
    try:
        value: Json = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False, None
    return True, value


def _refuse(constant: str) -> float:
    raise ValueError(constant)


def equal(got: Json, expected: Json) -> bool:
    """Strict: a truth value is no number, and a float is no integer.

    An integer answers a float of the same value, since JavaScript writes 3.0 as 3.
    """
    if isinstance(expected, float):
        return isinstance(got, int | float) and not isinstance(got, bool) and _near(float(got), expected)
    if type(got) is not type(expected):
        return False
    if isinstance(got, list) and isinstance(expected, list):
        return len(got) == len(expected) and all(map(equal, got, expected))
    if isinstance(got, dict) and isinstance(expected, dict):
        return got.keys() == expected.keys() and all(equal(got[key], expected[key]) for key in got)
    return got == expected


def _near(got: float, expected: float) -> bool:
    return abs(got - expected) <= 1e-9 * max(1.0, abs(expected))


def same_text(got: str, expected: str) -> bool:
    """Equal up to white space at the ends of lines and of the text."""
    return _trimmed(got) == _trimmed(expected)


def _trimmed(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().splitlines()]


def text_closeness(got: str, expected: str) -> float:
    """0..1: how near printed text is to what was expected, numerically where both are numbers."""
    got, expected = got.strip(), expected.strip()
    if got == expected:
        return 1.0
    try:
        return 0.9 * number_closeness(float(got), float(expected))
    except ValueError:
        return 0.9 * _ratio(got, expected)


def closeness(got: Json, expected: Json) -> float:
    """0..1: how near a returned value is; 0 for another type, 1 only for an equal value."""
    if equal(got, expected):
        return 1.0
    if isinstance(got, bool) or isinstance(expected, bool):
        return 0.0
    if isinstance(got, int | float) and isinstance(expected, int | float):
        return 0.9 * number_closeness(float(got), float(expected))
    if isinstance(got, str) and isinstance(expected, str):
        return 0.1 + 0.8 * _ratio(got, expected)
    if isinstance(got, list) and isinstance(expected, list):
        pairs = [closeness(a, b) for a, b in zip(got, expected, strict=False)]
        return 0.1 + 0.8 * sum(pairs) / max(len(got), len(expected), 1)
    return 0.0


def number_closeness(got: float, expected: float) -> float:
    """1 for equal numbers, falling with the distance relative to the size of what was expected."""
    return 1.0 / (1.0 + abs(got - expected) / max(1.0, abs(expected)))


def _ratio(got: str, expected: str) -> float:
    """difflib is quadratic in the worst case, so only the beginnings are compared."""
    matcher = difflib.SequenceMatcher(None, got[:MAX_COMPARED_CHARS], expected[:MAX_COMPARED_CHARS], autojunk=False)
    return matcher.ratio()
