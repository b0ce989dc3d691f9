"""Right answer, nearly right answer: comparison on the host of what came out of the jail.

Text from the jail is hostile. It is parsed with bounds, compared by type before value, and no object
of the program is ever rebuilt.
"""

from __future__ import annotations

import difflib
import json
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_ANSWER_CHARS = 65_536
MAX_DEPTH = 32
MAX_COMPARED_CHARS = 400

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def parse(text: str) -> tuple[bool, Json]:
    """(True, value) for bounded JSON text, (False, None) for anything else.

    Refused are numbers that are not finite, also `1e999`, objects that name a key twice, and values
    nested deeper than MAX_DEPTH.
    """
    if not text or len(text) > MAX_ANSWER_CHARS:
        return False, None
    try:
        value: Json = json.loads(
            text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_without_twins
        )
    except (ValueError, RecursionError):
        return False, None
    return (True, value) if _is_shallow(value) else (False, None)


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(number)
    return value


def _without_twins(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key occurs twice")
    return dict(pairs)


def _is_shallow(value: Json) -> bool:
    level: list[Json] = [value]
    for _ in range(MAX_DEPTH):
        level = [below for each in level for below in _below(each)]
        if not level:
            return True
    return False


def _below(value: Json) -> Iterable[Json]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def equal(got: Json, expected: Json) -> bool:
    """Strict: a truth value is no number, and a float is no integer.

    An integer answers a float of the same value, since JavaScript writes 3.0 as 3.
    """
    if isinstance(expected, float):
        return isinstance(got, int | float) and not isinstance(got, bool) and _near(_as_float(got), expected)
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
    # Not splitlines: a form feed or a line separator is no end of a line.
    return [line.rstrip() for line in text.rstrip().split("\n")]


def text_closeness(got: str, expected: str) -> float:
    """0..1: how near printed text is to what was expected, numerically where both are numbers.

    1 only for the same text.
    """
    if same_text(got, expected):
        return 1.0
    got, expected = got.strip(), expected.strip()
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
        return 0.9 * number_closeness(_as_float(got), _as_float(expected))
    if isinstance(got, str) and isinstance(expected, str):
        return 0.1 + 0.8 * _ratio(got, expected)
    if isinstance(got, list) and isinstance(expected, list):
        pairs = [closeness(a, b) for a, b in zip(got, expected, strict=False)]
        return 0.1 + 0.8 * sum(pairs) / max(len(got), len(expected), 1)
    if isinstance(got, dict) and isinstance(expected, dict):
        shared = [closeness(got[key], expected[key]) for key in expected if key in got]
        return 0.1 + 0.8 * sum(shared) / max(len(got.keys() | expected.keys()), 1)
    return 0.0


def number_closeness(got: float, expected: float) -> float:
    """1 for equal numbers, falling with the distance relative to the size of what was expected.

    0 where there is no such distance: for what is infinite or no number.
    """
    distance = abs(got - expected) / max(1.0, abs(expected))
    return 1.0 / (1.0 + distance) if math.isfinite(distance) else 0.0


def _as_float(number: float) -> float:
    """An integer beyond every float is infinite."""
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _ratio(got: str, expected: str) -> float:
    """difflib is quadratic in the worst case, so only the beginnings are compared."""
    matcher = difflib.SequenceMatcher(
        None, got[:MAX_COMPARED_CHARS], expected[:MAX_COMPARED_CHARS], autojunk=False
    )
    return matcher.ratio()
