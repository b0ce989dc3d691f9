"""Runs a Python program under watch, inside the jail, and tells what it did; standard library only.

A program whose function `trace` gets the real program as an argument: the fork-server has it loaded, to
any other runner it is sent as text. What it answers is worth no more than the program lets it be worth,
for it runs beside it.
"""

from __future__ import annotations

import sys
import time
from itertools import islice
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    Step = Callable[[FrameType, str, object], "Step | None"]

WATCHED_FILE = "watched.py"
MAX_EVENTS = 20_000
MAX_S = 0.5
MAX_LINES = 200
MAX_FUNCTIONS, MAX_NAMES, MAX_TEXT = 8, 12, 60
MAX_ITEMS = 8
MAX_BITS = 200

Answer = dict[str, object]
Values = dict[str, dict[str, str]]


class Enough(BaseException):
    """Ends a program that has been watched for long enough."""


def trace(source: str, entry: str, arguments: list[object] | None) -> Answer:
    """What the program did, up to its end, its first error or the bounds of the watch."""
    watch = Watch()
    module = ModuleType("program" if entry else "__main__")
    sys.modules[module.__name__] = module
    error: BaseException | None = None
    try:
        code = compile(source, WATCHED_FILE, "exec", dont_inherit=True)
        sys.settrace(watch.enter)
        exec(code, module.__dict__)
        if entry:
            module.__dict__[entry](*(arguments or []))
    except BaseException as caught:  # noqa: BLE001 - the end of a foreign program, whatever it raised
        error = caught
    finally:
        sys.settrace(None)
    return watch.answer(error)


class Watch:
    """Counts lines and keeps the last values of variables."""

    def __init__(self) -> None:
        self._lines: dict[int, int] = {}
        self._values: Values = {}
        self._left = MAX_EVENTS
        self._deadline = time.monotonic() + MAX_S

    def enter(self, frame: FrameType, event: str, _: object) -> Step | None:
        """For the interpreter: whether to watch what a call runs."""
        self._count()
        return self._step if frame.f_code.co_filename == WATCHED_FILE else None

    def _step(self, frame: FrameType, event: str, _: object) -> Step | None:
        if event == "line":
            line = frame.f_lineno
            self._lines[line] = self._lines.get(line, 0) + 1
            if not self._count(frame):
                raise Enough
        elif event == "return":
            self._keep(frame)
        return self._step

    def _count(self, frame: FrameType | None = None) -> bool:
        self._left -= 1
        is_over = self._left <= 0 or (self._left % 64 == 0 and time.monotonic() > self._deadline)
        while is_over and frame is not None and frame.f_code.co_filename == WATCHED_FILE:
            self._keep(frame)
            frame = frame.f_back if len(self._values) < MAX_FUNCTIONS else None
        return not is_over

    def _keep(self, frame: FrameType) -> None:
        name = frame.f_code.co_name[:MAX_TEXT]
        if name in self._values or len(self._values) < MAX_FUNCTIONS:
            values = shown_values(frame.f_locals)
            if values:
                self._values[name] = values

    def answer(self, error: BaseException | None) -> Answer:
        """Plain values only: lines with counts, values, where the error was raised."""
        return {
            "lines": sorted(self._lines.items())[:MAX_LINES],
            "values": self._values,
            "place": place_of(error),
            "complete": not isinstance(error, Enough),
        }


def shown_values(variables: Mapping[str, object]) -> dict[str, str]:
    """The plain values among some variables, as short text."""
    shown: dict[str, str] = {}
    if kind_of(variables) is not dict:  # a class body may have a mapping of its own
        return shown
    for name, value in list(variables.items()):
        text = "" if name.startswith("__") else show(value)
        if text:
            shown[name[:MAX_TEXT]] = text[:MAX_TEXT]
        if len(shown) >= MAX_NAMES:
            break
    return shown


def show(value: object, depth: int = 2) -> str:
    """Text for a plain value, "" for any other; runs no code of the program."""
    kind = kind_of(value)
    if kind is int:
        bits = cast("int", value).bit_length()
        return repr(value) if bits <= MAX_BITS else f"<{bits} bits>"
    if kind in (float, bool, complex, type(None)):
        return repr(value)
    if kind in (str, bytes):
        return repr(cast("str", value)[:MAX_TEXT])
    return _show_many(value, depth) if kind in (list, tuple, set, frozenset, dict) else ""


def kind_of(value: object) -> type:
    """The very type: one derived from it may run code of the program."""
    return type(value)


def _show_many(value: object, depth: int) -> str:
    """Collections, to a depth and for a few items."""
    if not depth:
        return "..."
    if kind_of(value) is dict:
        pairs = cast("dict[object, object]", value)
        shown = [
            f"{_item(key, depth)}: {_item(each, depth)}" for key, each in islice(pairs.items(), MAX_ITEMS)
        ]
        return _framed(shown, len(pairs), "{}")
    many = cast("list[object]", value)
    frames: dict[type, str] = {list: "[]", tuple: "()"}
    frame = frames.get(kind_of(value), "{}")
    return _framed([_item(each, depth) for each in islice(many, MAX_ITEMS)], len(many), frame)


def _item(value: object, depth: int) -> str:
    return show(value, depth - 1) or f"<{type(value).__name__}>"


def _framed(items: list[str], size: int, frame: str) -> str:
    more = ", ..." if size > len(items) else ""
    return f"{frame[0]}{', '.join(items)}{more}{frame[1]}"


def place_of(error: BaseException | None) -> list[int | None] | None:
    """Line, column, last line and last column, in bytes from 0, of the innermost frame of the program."""
    trace, found = error.__traceback__ if error else None, None
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == WATCHED_FILE:
            found = trace
        trace = trace.tb_next
    if found is None:
        return None
    positions = list(found.tb_frame.f_code.co_positions())
    spot = found.tb_lasti // 2
    line, end_line, column, end_column = positions[spot] if spot < len(positions) else (None,) * 4
    return [line or found.tb_lineno, column, end_line, end_column]
