"""How a run looks while it goes on: one line that moves in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from altlas_agent.core.bus import Policy
from altlas_agent.core.events import JailChosen, Progress, TaskSolved, WorkerLost

if TYPE_CHECKING:
    from altlas_agent.core.bus import Bus
    from altlas_agent.core.events import AnyEvent

PLAIN_EVERY_S = 5.0


class RunProgress:
    """Follows the bus on stderr. `limit_s` (0: none) and `max_attempts` (0: none) give the time left."""

    def __init__(self, *, tasks: int, limit_s: float, max_attempts: int) -> None:
        self._tasks = tasks
        self._limit_s = limit_s
        self._max_attempts = max_attempts
        self._started = self._printed = time.monotonic()
        self._moves = sys.stderr.isatty()
        self._latest = Progress(attempts=0, solved=0, best_score=0.0, attempts_per_s=0.0)

    async def follow(self, bus: Bus) -> None:
        """Draw until the bus ends. A slow terminal loses gauges, never facts: they are in the store."""
        types = (TaskSolved, JailChosen, WorkerLost, Progress)
        with bus.subscribe("progress", types=types, policy=Policy.DROP_OLDEST) as events:
            async for envelope in events:
                self._show(envelope.event)

    def _show(self, event: AnyEvent) -> None:
        match event:
            case Progress():
                self._latest = event
                self._gauge()
            case TaskSolved(task_key=key, attempt_number=number):
                self._line(f"solved {key} at attempt {number}")
            case JailChosen(rung=rung, layers=layers):
                self._line(f"programs run in jail {rung!r}: {', '.join(layers)}")
            case WorkerLost(worker=worker, detail=detail):
                self._line(f"{worker} was lost and replaced: {detail}")
            case _:
                pass

    def _line(self, text: str) -> None:
        clear = "\r\x1b[2K" if self._moves else ""
        click.echo(f"{clear}{text}", err=True)

    def _gauge(self) -> None:
        if self._moves:
            click.echo(f"\r\x1b[2K{self.summary()}", err=True, nl=False)
        elif time.monotonic() - self._printed >= PLAIN_EVERY_S:
            self._printed = time.monotonic()
            click.echo(self.summary(), err=True)

    def close(self) -> None:
        """Leave the cursor on a line of its own."""
        if self._moves:
            click.echo("\r\x1b[2K", err=True, nl=False)

    def summary(self) -> str:
        """The gauge as text."""
        now = self._latest
        left = self._left_s()
        ending = f" | at most {left:.0f} s left" if left is not None else ""
        return (
            f"attempts {now.attempts} | solved {now.solved}/{self._tasks} | best score {now.best_score:.2f} | "
            f"{now.attempts_per_s:.0f} attempts/s{ending}"
        )

    def _left_s(self) -> float | None:
        limits: list[float] = []
        if self._limit_s:
            limits.append(self._limit_s - (time.monotonic() - self._started))
        if self._max_attempts and self._latest.attempts_per_s:
            limits.append((self._max_attempts - self._latest.attempts) / self._latest.attempts_per_s)
        return max(0.0, min(limits)) if limits else None
