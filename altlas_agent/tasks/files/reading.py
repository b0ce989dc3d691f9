"""From a file to a JSON tree: whatever the file is like, a tree or one error with the place.

Task files come from anywhere. They are bounded in size and depth before they are parsed, and keys that
occur twice are refused, since one of the two would silently win.
"""

from __future__ import annotations

import json
import re
import stat
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.core.errors import TaskError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pydantic import JsonValue

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_SHOWN = 20

_DEPTH_TOKENS = re.compile(r'"(?:\\.|[^"\\])*"|[\[{]|[\]}]', re.DOTALL)

Tree = dict[str, "JsonValue"]


class Problem(NamedTuple):
    """What is wrong, and where in the file: `tests.hidden[2].expected`, or "" for the file as a whole."""

    place: str
    text: str


def place_of(path: Iterable[int | str]) -> str:
    """`("tests", "hidden", 2)` as `tests.hidden[2]`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def refuse(path: Path, problems: Sequence[Problem]) -> None:
    """Raises one TaskError that lists all problems of a file; returns when there are none."""
    if not problems:
        return
    if len(problems) == 1:
        raise TaskError(f"{path}: {problems[0].place}" if problems[0].place else str(path), problems[0].text)
    lines = [f"\n  {place}: {text}" if place else f"\n  {text}" for place, text in problems[:MAX_SHOWN]]
    left = len(problems) - len(lines)
    more = f"\n  and {left} more" if left else ""
    raise TaskError(str(path), f"{len(problems)} problems{''.join(lines)}{more}\n")


def read_tree(path: Path) -> Tree:
    """The object that a file holds. Raises TaskError, naming the file and the place."""
    text = _text(path)
    if _depth(text) > MAX_DEPTH:
        raise TaskError(str(path), f"brackets are nested more than {MAX_DEPTH} deep")
    try:
        tree: JsonValue = json.loads(text, object_pairs_hook=_Object, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise TaskError(f"{path}:{error.lineno}:{error.colno}", f"is not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise TaskError(str(path), f"is not JSON: {error}") from error
    if not isinstance(tree, dict):
        raise TaskError(str(path), "must hold one JSON object, a task")
    refuse(path, list(_oddities(tree)))
    return tree


def _text(path: Path) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise TaskError(str(path), "is no ordinary file")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise TaskError(str(path), f"cannot be read: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise TaskError(str(path), f"is larger than {MAX_BYTES >> 20} MiB")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TaskError(str(path), f"is not UTF-8 text (byte {error.start})") from error


def _depth(text: str) -> int:
    """How deep brackets are nested, counted without recursion and without reading inside strings."""
    depth = deepest = 0
    for match in _DEPTH_TOKENS.finditer(text):
        if match[0] in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif match[0] in "]}":
            depth -= 1
    return deepest


class _Object(dict[str, "JsonValue"]):
    """A JSON object that remembers which keys stood there more than once."""

    def __init__(self, pairs: list[tuple[str, JsonValue]]) -> None:
        super().__init__(pairs)
        counts = Counter(key for key, _ in pairs) if len(self) < len(pairs) else Counter[str]()
        self.doubled = sorted(key for key, count in counts.items() if count > 1)


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is no JSON number")


def _oddities(value: JsonValue, path: tuple[int | str, ...] = ()) -> Iterator[Problem]:
    """Keys that occur twice, and text that cannot be written as UTF-8."""
    if isinstance(value, _Object):
        yield from (Problem(place_of((*path, key)), "this key occurs twice") for key in value.doubled)
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _oddities(key, (*path, _plain(key)))
            yield from _oddities(below, (*path, _plain(key)))
    elif isinstance(value, list):
        for place, below in enumerate(value):
            yield from _oddities(below, (*path, place))
    elif isinstance(value, str) and _plain(value) != value:
        yield Problem(place_of(path), "holds half of a surrogate pair, which is no text")


def _plain(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
