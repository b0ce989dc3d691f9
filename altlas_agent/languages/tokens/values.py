"""What each abstract operation does to values, without any language: the meaning behind the language maps.

    num   int or float        list   tuple of numbers
    str   str                 words  tuple of texts
    bool  bool

Where Python and JavaScript both give an answer it is this one. What would grow without an end is refused.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable

Value = int | float | str | bool | tuple[int | float, ...] | tuple[str, ...]

MAX_NUMBER = 10**30
MAX_LENGTH = 2_000
"""Characters of a text, or members of a list."""


class Undefined(Exception):
    """Raised when a program has no value here: it divides by zero, reads behind an end, or grows too large."""


UNDEFINED = (Undefined, ArithmeticError, IndexError, TypeError, ValueError)
"""All that an operation can raise; a TypeError where a number that is not whole counts or points."""


def from_json(text: str) -> Value:
    """A value that travelled as JSON text. Raises TypeError for what the grammar has no type for."""
    return _frozen(json.loads(text))


def args_from_json(text: str) -> tuple[Value, ...]:
    """The arguments of a call, from a JSON array. Raises TypeError as `from_json` does."""
    return tuple(map(_frozen, json.loads(text)))


def to_json(value: object) -> str:
    """The same value as JSON text."""
    return json.dumps(value, ensure_ascii=False)


def _frozen(value: object) -> Value:
    if isinstance(value, list):
        members = cast("list[object]", value)
        if all(isinstance(member, str) for member in members):
            return tuple(cast("list[str]", members))
        if all(isinstance(member, int | float) for member in members):
            return tuple(cast("list[int | float]", members))
    if isinstance(value, str | int | float):
        return value
    raise TypeError(f"{value!r} has no type in the grammar")


def number(value: int | float) -> int | float:
    """Raises Undefined for a number that is too large."""
    if not -MAX_NUMBER < value < MAX_NUMBER:
        raise Undefined
    return value


def span(first: int, last: int) -> range:
    """Raises Undefined for a range of too many numbers, or of ones that are not whole."""
    if not isinstance(first, int) or not isinstance(last, int) or last - first >= MAX_LENGTH:
        raise Undefined
    return range(first, last + 1)


def _repeat(text: str, times: int) -> str:
    if len(text) * times > MAX_LENGTH:
        raise Undefined
    return text * times


def _short(text: str) -> str:
    if len(text) > MAX_LENGTH:
        raise Undefined
    return text


def _count(times: int) -> int:
    # Less than none is nothing in one language and an error in the other.
    if times < 0:
        raise Undefined
    return times


OPERATIONS: dict[str, Callable[..., object]] = {
    "ADD": lambda a, b: number(a + b),
    "SUB": lambda a, b: number(a - b),
    "MUL": lambda a, b: number(a * b),
    "INT_DIV": lambda a, b: number(a // b),
    "MOD": lambda a, b: a % b,
    "ABS": abs,
    "LARGER": lambda a, b: max(a, b),
    "SMALLER": lambda a, b: min(a, b),
    "PICK_NUM": lambda c, a, b: a if c else b,
    "PICK_STR": lambda c, a, b: a if c else b,
    "SUM": lambda xs: number(sum(xs)),
    "LARGEST": max,
    "SMALLEST": min,
    "LEN_LIST": len,
    "LEN_WORDS": len,
    "LEN_STR": len,
    "ITEM_AT": lambda xs, i: xs[i],
    "CHAR_AT": lambda s, i: s[i],
    "WORD_AT": lambda ws, i: ws[i],
    "COUNT_OF": lambda xs, x: xs.count(x),
    "COUNT_STR": lambda s, t: s.count(t),
    "EQ": lambda a, b: a == b,
    "NE": lambda a, b: a != b,
    "LT": lambda a, b: a < b,
    "LE": lambda a, b: a <= b,
    "GT": lambda a, b: a > b,
    "GE": lambda a, b: a >= b,
    "SAME_STR": lambda a, b: a == b,
    "AND": lambda a, b: a and b,
    "OR": lambda a, b: a or b,
    "NOT": lambda a: not a,
    "IN_LIST": lambda x, xs: x in xs,
    "IN_STR": lambda a, b: a in b,
    "STARTS_WITH": lambda a, b: a.startswith(b),
    "ENDS_WITH": lambda a, b: a.endswith(b),
    "CONCAT": lambda a, b: _short(a + b),
    "REPEAT": lambda s, n: _repeat(s, _count(n)),
    "UPPER": lambda s: s.upper(),
    "LOWER": lambda s: s.lower(),
    "REVERSE_STR": lambda s: s[::-1],
    "FIRST_CHARS": lambda s, n: s[:n],
    "REPLACE": lambda s, a, b: _short(s.replace(a, b)),
    "TO_STR": str,
    "JOIN": lambda s, ws: _short(s.join(ws)),
    "RANGE": lambda a, b: tuple(span(a, b)),
    "APPEND": lambda xs, x: (*xs, x),
    "APPEND_WORD": lambda ws, w: (*ws, w),
    "REVERSE": lambda xs: xs[::-1],
    "REVERSE_WORDS": lambda ws: ws[::-1],
    "SORT": lambda xs: tuple(sorted(xs)),
    "SORT_WORDS": lambda ws: tuple(sorted(ws)),
    "REST": lambda xs, n: xs[n:],
    "SPLIT": lambda s, t: tuple(s.split(t)),
}
CONSTANTS: dict[str, Value] = {
    "INT_0": 0,
    "INT_1": 1,
    "INT_2": 2,
    "INT_10": 10,
    "EMPTY_STR": "",
    "SPACE": " ",
    "TRUE": True,
    "FALSE": False,
    "EMPTY_LIST": (),
    "EMPTY_WORDS": (),
}
