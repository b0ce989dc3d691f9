"""How a run looks while it goes on: one line that moves in a terminal, plain lines elsewhere.

loop     waits for                unblocked by
-------  -----------------------  -------------------------------------
follow   events                   the bus, also when it is closed
_tick    the next second          the clock; the end of the run
"""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import click

from altlas_agent.cli.output import duration, score
from altlas_agent.core.bus.policies import Policy
from altlas_agent.core.events import (
    JailChosen,
    Note,
    PolicyBuilt,
    Progress,
    RungChanged,
    RunStarted,
    TaskSolved,
    WorkerLost,
)
from altlas_agent.core.text import safe

if TYPE_CHECKING:
    from collections.abc import Generator

    from anyio.abc import TaskStatus

    from altlas_agent.core.bus.bus import Bus
    from altlas_agent.core.events import AnyEvent

MOVE_EVERY_S = 1.0
PLAIN_EVERY_S = 5.0
USUAL_COLUMNS = 80

_CLEAR_LINE = "\r\x1b[2K"
_TYPES = (RunStarted, JailChosen, PolicyBuilt, TaskSolved, WorkerLost, RungChanged, Note, Progress)


class RunProgress:
    """Follows the bus on stderr. `limit_s` (0: none) and `max_attempts` (0: none) give the time left."""

    def __init__(self, *, tasks: int, limit_s: float, max_attempts: int) -> None:
        self._tasks = tasks
        self._limit_s = limit_s
        self._max_attempts = max_attempts
        self._started = self._printed = time.monotonic()
        self._moves = _can_move()
        self._latest = Progress(attempts=0, solved=0, best_score=0.0, attempts_per_s=0.0)

    async def follow(self, bus: Bus, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Draw until the bus ends. A slow terminal loses gauges, never facts: they are in the store."""
        with (
            bus.subscribe("progress", types=_TYPES, policy=Policy.DROP_OLDEST) as events,
            self._below_the_log(),
        ):
            task_status.started()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._tick)
                async for envelope in events:
                    self._show(envelope.event)
                tasks.cancel_scope.cancel()

    def close(self) -> None:
        """Leave the cursor at the beginning of an empty line."""
        if self._moves:
            _write(_CLEAR_LINE)

    def summary(self) -> str:
        """The gauge as text."""
        now = self._latest
        parts = [
            f"attempts {now.attempts}",
            f"solved {now.solved}/{self._tasks}",
            f"best score {score(now.best_score if now.attempts else None)}",
            f"{now.attempts_per_s:.0f} attempts/s",
        ]
        left_s = self._left_s()
        if left_s is not None:
            parts.append(f"{f'{left_s:.0f} s' if left_s < 60 else duration(left_s)} left")
        return " | ".join(parts)

    async def _tick(self) -> None:
        while True:
            await anyio.sleep(MOVE_EVERY_S)
            self._gauge()

    def _show(self, event: AnyEvent) -> None:
        match event:
            case RunStarted():
                self._started = time.monotonic()
            case Progress():
                self._latest = event
                self._gauge()
            case TaskSolved(task_key=key, attempt_number=number):
                self._line(f"solved {key} at attempt {number}")
            case JailChosen(rung=rung):
                self._line(f"programs run in jails: {rung}")
            case PolicyBuilt(parameters=parameters, features=features):
                self._line(f"the policy is {features.get('kind', 'unknown')}, {parameters:,} weights")
            case WorkerLost(detail=detail):
                self._line(f"{detail.partition(chr(10))[0]}; it is replaced")
            case RungChanged(worker=worker, change=change):
                self._line(f"{worker}: {change}")
            case Note(text=text):
                self._line(text)
            case _:
                pass

    def _line(self, text: str) -> None:
        _write(f"{_CLEAR_LINE if self._moves else ''}{safe(text, keep_newlines=False)}\n")

    def _gauge(self) -> None:
        if self._moves:
            # One column stays free: a terminal that is filled to the last one moves to the next line.
            _write(_CLEAR_LINE + self.summary()[: _columns() - 1])
        elif time.monotonic() - self._printed >= PLAIN_EVERY_S:
            self._printed = time.monotonic()
            self._line(self.summary())

    @contextmanager
    def _below_the_log(self) -> Generator[None]:
        """What is logged meanwhile takes the place of the gauge, which is drawn again below it."""
        eraser = _Eraser()
        root = logging.getLogger()
        if self._moves:
            root.handlers.insert(0, eraser)
        try:
            yield
        finally:
            root.removeHandler(eraser)

    def _left_s(self) -> float | None:
        limits: list[float] = []
        if self._limit_s:
            limits.append(self._limit_s - (time.monotonic() - self._started))
        if self._max_attempts and self._latest.attempts_per_s:
            limits.append((self._max_attempts - self._latest.attempts) / self._latest.attempts_per_s)
        return max(0.0, min(limits)) if limits else None


class _Eraser(logging.Handler):
    """Logs nothing: empties the line that the next handler writes on."""

    def emit(self, record: logging.LogRecord) -> None:
        _write(_CLEAR_LINE)


def _can_move() -> bool:
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def _columns() -> int:
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or USUAL_COLUMNS
    except OSError:
        return USUAL_COLUMNS


def _write(text: str) -> None:
    with suppress(OSError):  # whoever watched has gone; the run goes on
        click.echo(text, err=True, nl=False)
