"""Where a thread and the tasks of an event loop are at this moment, read from another thread."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType

MAX_CALLS = 40
MAX_TASKS = 64
_LINE_CHARS = 200
_MACHINERY = {*sys.stdlib_module_names, "anyio", "trio", "outcome", "uvicorn", "starlette", "h11"}
"""Modules that call others: what blocks is rather what they called."""


def stack_of(thread: int) -> tuple[FrameType, ...]:
    """The calls of a thread, outermost first; empty for one that has ended."""
    frame = sys._current_frames().get(thread)  # pyright: ignore[reportPrivateUsage] - documented, for debuggers
    calls: list[FrameType] = []
    while frame is not None:
        calls.append(frame)
        frame = frame.f_back
    return tuple(reversed(calls))


def in_lines(stack: tuple[FrameType, ...]) -> tuple[str, ...]:
    """The innermost calls, one a line."""
    return tuple(_line(frame) for frame in stack[-MAX_CALLS:])


def handler_of(stack: tuple[FrameType, ...]) -> str:
    """The innermost call that is not of Python itself or of what runs tasks; else the innermost one."""
    for frame in reversed(stack):
        module = str(frame.f_globals.get("__name__", ""))
        if module.partition(".")[0] not in _MACHINERY:
            return _line(frame)
    return _line(stack[-1]) if stack else "a thread that has ended"


def current_task(loop: object) -> str:
    """The name of the task at work on an asyncio loop; empty for none, and for other loops."""
    if not isinstance(loop, asyncio.AbstractEventLoop):
        return ""
    task = asyncio.current_task(loop)
    return task.get_name() if task is not None else ""


def waiting_tasks(loop: object) -> tuple[str, ...]:
    """The tasks of an asyncio loop, each with its `handler_of`; nothing for other loops."""
    if not isinstance(loop, asyncio.AbstractEventLoop):
        return ()
    found: list[str] = []
    for task in sorted(asyncio.all_tasks(loop), key=asyncio.Task[object].get_name)[:MAX_TASKS]:
        calls = tuple(_chain(task.get_coro()))
        found.append(f"{task.get_name()}: {handler_of(calls) if calls else 'ending'}"[:_LINE_CHARS])
    return tuple(found)


def _chain(awaited: object) -> Iterator[FrameType]:
    """The frames of a coroutine and of what it awaits in turn."""
    for _ in range(1000):
        frame: FrameType | None = getattr(awaited, "cr_frame", None) or getattr(awaited, "gi_frame", None)
        if frame is None:
            return
        yield frame
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "gi_yieldfrom", None)


def _line(frame: FrameType) -> str:
    code: CodeType = frame.f_code
    module = frame.f_globals.get("__name__", code.co_filename)
    return f"{code.co_qualname} ({module}:{frame.f_lineno})"[:_LINE_CHARS]
