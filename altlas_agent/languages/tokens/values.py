"""What each abstract operation does to values, without any language: the meaning behind the language maps.

    num   int or float        list   tuple of numbers
    str   str                 words  tuple of texts
    bool  bool

Where Python and JavaScript both give an answer it is this one. What would grow without an end is refused.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    from collections.abc import Callable

Number: TypeAlias = int | float
Numbers: TypeAlias = tuple[Number, ...]
Words: TypeAlias = tuple[str, ...]
Value: TypeAlias = Number | str | bool | Numbers | Words

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


def span(first: object, last: object) -> range:
    """Raises Undefined for a range of too many numbers, or of ones that are not whole."""
    if not isinstance(first, int) or not isinstance(last, int) or last - first >= MAX_LENGTH:
        raise Undefined
    return range(first, last + 1)


def _short(text: str) -> str:
    if len(text) > MAX_LENGTH:
        raise Undefined
    return text


def _repeat(text: str, times: int) -> str:
    # Less than none is nothing in one language and an error in the other.
    if times < 0 or len(text) * times > MAX_LENGTH:
        raise Undefined
    return text * times


_OF_NUMBERS: dict[str, Callable[[Number, Number], Value]] = {
    "ADD": lambda a, b: number(a + b),
    "SUB": lambda a, b: number(a - b),
    "MUL": lambda a, b: number(a * b),
    "INT_DIV": lambda a, b: number(a // b),
    "MOD": lambda a, b: a % b,
    "LARGER": max,
    "SMALLER": min,
    "EQ": lambda a, b: a == b,
    "NE": lambda a, b: a != b,
    "LT": lambda a, b: a < b,
    "LE": lambda a, b: a <= b,
    "GT": lambda a, b: a > b,
    "GE": lambda a, b: a >= b,
}
_OF_NUMBER: dict[str, Callable[[Number], Value]] = {"ABS": abs, "TO_STR": str}
_OF_LIST: dict[str, Callable[[Numbers], Value]] = {
    "SUM": lambda xs: number(sum(xs)),
    "LARGEST": max,
    "SMALLEST": min,
    "LEN_LIST": len,
    "REVERSE": lambda xs: xs[::-1],
    "SORT": lambda xs: tuple(sorted(xs)),
}
_OF_LIST_AND_NUMBER: dict[str, Callable[[Numbers, int], Value]] = {
    "ITEM_AT": lambda xs, i: xs[i],
    "COUNT_OF": lambda xs, x: xs.count(x),
    "APPEND": lambda xs, x: (*xs, x),
    "REST": lambda xs, n: xs[n:],
}
_OF_TEXT: dict[str, Callable[[str], Value]] = {
    "LEN_STR": len,
    "UPPER": str.upper,
    "LOWER": str.lower,
    "REVERSE_STR": lambda s: s[::-1],
}
_OF_TEXTS: dict[str, Callable[[str, str], Value]] = {
    "CONCAT": lambda a, b: _short(a + b),
    "COUNT_STR": lambda s, t: s.count(t),
    "SAME_STR": lambda a, b: a == b,
    "IN_STR": lambda a, b: a in b,
    "STARTS_WITH": lambda a, b: a.startswith(b),
    "ENDS_WITH": lambda a, b: a.endswith(b),
    "SPLIT": lambda s, t: tuple(s.split(t)),
}
_OF_TEXT_AND_NUMBER: dict[str, Callable[[str, int], Value]] = {
    "REPEAT": _repeat,
    "CHAR_AT": lambda s, i: s[i],
    "FIRST_CHARS": lambda s, n: s[:n],
}
_OF_WORDS: dict[str, Callable[[Words], Value]] = {
    "LEN_WORDS": len,
    "REVERSE_WORDS": lambda ws: ws[::-1],
    "SORT_WORDS": lambda ws: tuple(sorted(ws)),
}


def _in_list(member: Number, many: Numbers) -> bool:
    return member in many


def _word_at(words: Words, place: int) -> str:
    return words[place]


def _append_word(words: Words, word: str) -> Words:
    return (*words, word)


def _join(mark: str, words: Words) -> str:
    return _short(mark.join(words))


def _replace(text: str, old: str, new: str) -> str:
    return _short(text.replace(old, new))


def _range(first: int, last: int) -> Numbers:
    return tuple(span(first, last))


def _pick(condition: bool, then: Value, other: Value) -> Value:
    return then if condition else other


def _and(left: bool, right: bool) -> bool:
    return left and right


def _or(left: bool, right: bool) -> bool:
    return left or right


def _not(value: bool) -> bool:
    return not value


OPERATIONS: dict[str, Callable[..., object]] = {
    **_OF_NUMBERS,
    **_OF_NUMBER,
    **_OF_LIST,
    **_OF_LIST_AND_NUMBER,
    **_OF_TEXT,
    **_OF_TEXTS,
    **_OF_TEXT_AND_NUMBER,
    **_OF_WORDS,
    "PICK_NUM": _pick,
    "PICK_STR": _pick,
    "AND": _and,
    "OR": _or,
    "NOT": _not,
    "IN_LIST": _in_list,
    "WORD_AT": _word_at,
    "APPEND_WORD": _append_word,
    "JOIN": _join,
    "REPLACE": _replace,
    "RANGE": _range,
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
