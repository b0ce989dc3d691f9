"""The trace of a failing run: the program is run once more in its jail, under watch.

Only Python is watched. Of a JavaScript program there is the place of its error and no more: node shows
lines reached only through its inspector, which the jail does not offer.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from altlas_agent.core.records import Limits, Place, Program, RunResult, ToolFeedback, Trace
from altlas_agent.core.text import safe
from altlas_agent.sandbox.advice.python_rules import character_column, source_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[Program, Limits], RunResult]

MAX_CPU_S, MAX_WALL_S = 1.0, 3.0
MAX_NAME_CHARS = 80

_LOADED = "from altlas_agent.sandbox.inside.tracer import trace"
"""Finds the harness in a fork-server; a cold runner has to be sent the text, which takes it longer."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**31)]
_Values = dict[str, dict[str, str]]


class _Answer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What comes out of the jail."""

    lines: Annotated[tuple[tuple[_Count, _Count], ...], msgspec.Meta(max_length=1000)]
    values: Annotated[_Values, msgspec.Meta(max_length=50)]
    place: tuple[_Count, _Count | None, _Count | None, _Count | None] | None
    complete: bool


def trace(run: Run, program: Program, limits: Limits) -> Trace | None:
    """Run a program under watch, with the first of its calls if it has any.

    None for a language that is not watched, and when the watched run tells nothing that can be believed.
    """
    if program.language != "python":
        return None
    arguments = (
        f"[{_text(program.code)},{_text(program.entry)},{program.calls[0] if program.calls else 'null'}]"
    )
    allowed = msgspec.structs.replace(
        limits, cpu_s=min(limits.cpu_s, MAX_CPU_S), wall_s=min(limits.wall_s, MAX_WALL_S)
    )
    watched = Program(language="python", code=_LOADED, entry="trace", calls=(arguments,), stdin=program.stdin)
    result = run(watched, allowed)
    if b"ModuleNotFoundError" in result.stderr and not any(result.returns):
        result = run(msgspec.structs.replace(watched, code=_harness()), allowed)
    return read_trace(program.code, "".join(result.returns[:1]))


def read_trace(code: str, text: str) -> Trace | None:
    """A trace out of text that a hostile program may have written; None when it is none."""
    try:
        answer = msgspec.json.decode(text, type=_Answer)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return None
    lines = source_lines(code)
    reached = tuple((line, count) for line, count in answer.lines if 0 < line <= len(lines) and count)
    return Trace(
        lines=reached,
        values={_short(function): _shortened(values) for function, values in answer.values.items()},
        place=_place(answer.place, lines),
        complete=answer.complete,
    )


def placed(feedback: ToolFeedback, trace: Trace | None) -> ToolFeedback:
    """The feedback with the column that only the trace knows, where both speak of the same line."""
    place = trace.place if trace is not None and trace.complete else None
    if place is None or feedback.column or place.line != feedback.line:
        return feedback
    return msgspec.structs.replace(feedback, column=place.column)


def without_values(trace: Trace) -> Trace:
    """The same without the values of variables, which show what a hidden test asked."""
    return msgspec.structs.replace(trace, values={})


@cache
def _harness() -> str:
    return (Path(__file__).parents[1] / "inside" / "tracer.py").read_text("utf-8")


def _text(text: str) -> str:
    return msgspec.json.encode(text).decode()


def _short(text: str) -> str:
    return safe(text, max_chars=MAX_NAME_CHARS, keep_newlines=False)


def _shortened(values: dict[str, str]) -> dict[str, str]:
    return {_short(name): _short(value) for name, value in list(values.items())[:50]}


def _place(told: tuple[int, int | None, int | None, int | None] | None, lines: list[str]) -> Place | None:
    """In characters from 1, what Python tells in bytes from 0."""
    if told is None or not 0 < told[0] <= len(lines):
        return None
    line, column, end_line, end_column = told
    start = 0 if column is None else character_column(lines[line - 1], column)
    if end_line is None or end_column is None or not line <= end_line <= len(lines):
        return Place(line=line, column=start)
    end = character_column(lines[end_line - 1], end_column)
    return Place(line=line, column=start, end_line=end_line, end_column=end)
