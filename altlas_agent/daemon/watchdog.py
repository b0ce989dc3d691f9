"""Sees from a thread when the event loop stands still, and says who holds it up.

    loop                   waits for            unblocked by
    ---------------------  -------------------  ---------------------------------------------
    `run`, on the loop     the next tick        the clock
    `_look`, the thread    the next look        the clock; the end of `run`

The thread reports while the loop is blocked; the loop itself reports how long it was, once it moves again.
Where nothing could run, because something held the interpreter or the whole process was stopped, the loop
alone reports, and nobody can be named.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

import anyio
from anyio import lowlevel

from altlas_agent.core.events import LoopBlocked
from altlas_agent.core.pulse import Lag
from altlas_agent.daemon.service.stacks import current_task, handler_of, in_lines, stack_of, waiting_tasks

if TYPE_CHECKING:
    from collections.abc import Callable

TICK_S = 0.1
LOOK_S = 0.2
LIMIT_S = 1.0
"""How old a tick may be. A blocked loop is reported within `LIMIT_S + TICK_S + LOOK_S`."""
NOBODY = "nobody: all of the process stood still"

logger = logging.getLogger(__name__)


class Watchdog:
    """An actor whose heart is the loop's, and a thread that listens to it.

    `report` is called on the thread while the loop is blocked, and on the loop when that is over; it must be
    quick and must not need the loop.
    """

    name = "watchdog"

    def __init__(self, report: Callable[[LoopBlocked], None], *, limit_s: float = LIMIT_S) -> None:
        self._report = report
        self._limit_s = limit_s
        self._ticked_at = time.monotonic()
        self._last_s = self._worst_s = 0.0
        self._times_blocked = 0
        self._seen: LoopBlocked | None = None
        self._stop = threading.Event()

    @property
    def tick_age_s(self) -> float:
        """How long ago the loop last turned over. May be asked on any thread."""
        return time.monotonic() - self._ticked_at

    @property
    def is_live(self) -> bool:
        """Whether the loop turns over."""
        return self.tick_age_s < self._limit_s

    @property
    def lag(self) -> Lag:
        return Lag(last_s=self._last_s, worst_s=self._worst_s, times_blocked=self._times_blocked)

    async def run(self) -> None:
        """Tick until cancelled, with the thread beside."""
        self._ticked_at = time.monotonic()
        loop = lowlevel.current_token().native_token
        thread = threading.Thread(
            target=self._look, args=(threading.get_ident(), loop), name="altlas-watchdog", daemon=True
        )
        self._stop.clear()
        thread.start()
        try:
            while True:
                await anyio.sleep(TICK_S)
                self._tick()
        finally:
            self._stop.set()
            thread.join(LIMIT_S)

    def _tick(self) -> None:
        now = time.monotonic()
        late_s = max(0.0, now - self._ticked_at - TICK_S)
        self._ticked_at = now
        self._last_s, self._worst_s = late_s, max(self._worst_s, late_s)
        seen, self._seen = self._seen, None
        if seen is not None or late_s > self._limit_s:
            self._times_blocked += 1
            self._tell_over(seen, late_s)

    def _tell_over(self, seen: LoopBlocked | None, late_s: float) -> None:
        event = LoopBlocked(
            handler=seen.handler if seen else NOBODY,
            blocked_s=round(late_s, 3),
            is_over=True,
            stack=seen.stack if seen else (),
            tasks=seen.tasks if seen else (),
        )
        logger.warning("the event loop goes on; it was blocked for %.1f s by %s", late_s, event.handler)
        self._report(event)

    def _look(self, thread: int, loop: object) -> None:
        looked_at = time.monotonic()
        while not self._stop.wait(LOOK_S):
            now = time.monotonic()
            was_asleep = now - looked_at > LOOK_S + self._limit_s / 2  # then the loop may not have run either
            looked_at = now
            if was_asleep or self._seen is not None or now - self._ticked_at <= self._limit_s + TICK_S:
                continue
            try:
                self._see(thread, loop)
            except Exception:
                logger.exception("a blocked event loop could not be reported")

    def _see(self, thread: int, loop: object) -> None:
        stack = stack_of(thread)
        handler = handler_of(stack)
        task = current_task(loop)
        event = LoopBlocked(
            handler=f"{task}: {handler}" if task else handler,
            blocked_s=round(self.tick_age_s - TICK_S, 3),
            is_over=False,
            stack=in_lines(stack),
            tasks=waiting_tasks(loop),
        )
        self._seen = event
        logger.error(
            "the event loop is blocked by %s:\n%s\nand these tasks wait:\n%s",
            event.handler,
            "\n".join(f"  {line}" for line in event.stack),
            "\n".join(f"  {line}" for line in event.tasks),
        )
        self._report(event)
