"""On which line of a TOML text each key stands.

The text has been read by tomllib before, so the scan may rely on its being well formed: it follows
keys, skips values, and knows no types.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_QUOTED = re.compile(
    r"""
    \"{3} (?: \\. | [^\\] )*? \"{3,5}    # up to two quotes of the text may touch the closing ones
    | '{3} .*? '{3,5}
    | \" (?: \\. | [^"\\\n] )* \"
    | ' [^'\n]* '
    """,
    re.DOTALL | re.VERBOSE,
)
_BARE_VALUE = re.compile(r"[^,\]}\n#]*")


def locate(text: str) -> dict[tuple[str, ...], int]:
    """The line, from 1, of every key and table of a well-formed TOML text.

    Elements of arrays are keys too: `xs = [{a = 1}]` has ("xs",), ("xs", "0") and ("xs", "0", "a").
    """
    return _Scan(text).run()


class _Scan:
    """One pass over the text; `_at` is the place reached."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._breaks = [place for place, letter in enumerate(text) if letter == "\n"]
        self._lines: dict[tuple[str, ...], int] = {}
        self._last_element: dict[tuple[str, ...], int] = {}

    def run(self) -> dict[tuple[str, ...], int]:
        table: tuple[str, ...] = ()
        self._skip(_BLANK)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._assignment(table)
            self._skip(_BLANK)
        return self._lines

    def _header(self) -> tuple[str, ...]:
        line, is_array = self._line(), self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        *parents, last = self._key()
        self._at += 2 if is_array else 1
        table: tuple[str, ...] = ()
        for part in parents:
            self._note((*table, part), line)
            table = self._newest((*table, part))
        table = (*table, last)
        self._note(table, line)
        if is_array:
            self._last_element[table] = self._last_element.get(table, -1) + 1
        table = self._newest(table)
        self._note(table, line)
        return table

    def _newest(self, table: tuple[str, ...]) -> tuple[str, ...]:
        """A header below an array of tables means the array's newest element."""
        element = self._last_element.get(table)
        return table if element is None else (*table, str(element))

    def _assignment(self, table: tuple[str, ...]) -> None:
        line, key = self._line(), table
        for part in self._key():
            key = (*key, part)
            self._note(key, line)
        self._at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(key)

    def _key(self) -> list[str]:
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            quoted = self._text[self._at] in "\"'"
            word = self._skip(_QUOTED if quoted else _BARE_KEY)
            parts.append(tomllib.loads(f"key = {word}")["key"] if quoted else word)
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _value(self, key: tuple[str, ...]) -> None:
        first = self._text[self._at]
        if first == "[":
            self._array(key)
        elif first == "{":
            self._inline_table(key)
        else:
            self._skip(_QUOTED if first in "\"'" else _BARE_VALUE)

    def _array(self, key: tuple[str, ...]) -> None:
        index = 0
        while self._next_element("]"):
            self._note((*key, str(index)), self._line())
            self._value((*key, str(index)))
            index += 1

    def _inline_table(self, key: tuple[str, ...]) -> None:
        while self._next_element("}"):
            self._assignment(key)

    def _next_element(self, closing: str) -> bool:
        """Step over the bracket or comma; False, and past the end, when no element follows."""
        self._skip(_BLANK)
        if self._text[self._at] != closing:
            self._at += self._text[self._at] in "[{,"
            self._skip(_BLANK)
        if self._text[self._at] == closing:
            self._at += 1
            return False
        return True

    def _skip(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        assert match is not None, f"tomllib accepted what locate() cannot follow, line {self._line()}"
        self._at = match.end()
        return match.group()

    def _line(self) -> int:
        return bisect_right(self._breaks, self._at) + 1

    def _note(self, key: tuple[str, ...], line: int) -> None:
        self._lines.setdefault(key, line)
