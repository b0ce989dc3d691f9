"""The pulse of an actor, which says that it moved or what it waits for; and that of the event loop, in numbers."""

from __future__ import annotations

import enum
from contextlib import contextmanager
from typing import TYPE_CHECKING

from altlas_agent.core.clock import NS_PER_S
from altlas_agent.core.records import Record

if TYPE_CHECKING:
    from collections.abc import Generator

    from altlas_agent.core.clock import Clock


class Pulse:
    """One life of one actor, as it tells of it. A new life has a new pulse.

    An actor that is watched calls `beat` after every piece of work, and declares what it legitimately
    waits for: only silence without a declaration is taken for death.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._beat_ns = clock.monotonic_ns()
        self._waits: list[str] = []

    def beat(self) -> None:
        """It moved."""
        self._beat_ns = self._clock.monotonic_ns()

    @contextmanager
    def waiting(self, reason: str) -> Generator[None]:
        """In this block it does nothing and is well: `reason` completes "waits for ..."."""
        self._waits.append(reason)
        try:
            yield
        finally:
            self._waits.remove(reason)
            self.beat()

    @property
    def reason(self) -> str:
        """What it waits for; empty while it works."""
        return self._waits[-1] if self._waits else ""

    @property
    def silent_s(self) -> float:
        """How long ago it moved; 0 while it declares that it waits."""
        return 0.0 if self._waits else (self._clock.monotonic_ns() - self._beat_ns) / NS_PER_S


class Life(enum.StrEnum):
    """Where an actor stands."""

    RUNNING = "running"
    WAITING = "waiting"
    BACKING_OFF = "backing_off"
    """It died and will be started again in a moment."""
    DOWN = "down"
    """Its group was given up, or is being started again."""
    ENDED = "ended"
    """It has done its work, or was stopped."""


class ActorState(Record):
    """One supervised actor in numbers. `waits_for` is what it declared; `last_reason` why it last died."""

    name: str
    group: str
    life: Life
    restarts: int
    silent_s: float
    waits_for: str
    last_reason: str


class Lag(Record):
    """How late the loop turns over: the latest tick, the worst one, and how often it was blocked."""

    last_s: float
    worst_s: float
    times_blocked: int
