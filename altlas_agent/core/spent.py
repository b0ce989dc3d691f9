"""What the time of a loop went to, between two looks at it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from altlas_agent.core.clock import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Generator

    from altlas_agent.core.clock import Clock


class Spent:
    """Seconds by what they were spent on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seconds: dict[str, float] = {}

    @contextmanager
    def on(self, what: str) -> Generator[None]:
        """Count the time of the block."""
        began_ns = self._clock.monotonic_ns()
        try:
            yield
        finally:
            took_s = (self._clock.monotonic_ns() - began_ns) / NS_PER_S
            self._seconds[what] = self._seconds.get(what, 0.0) + took_s

    def take(self) -> dict[str, float]:
        """Everything since the last time."""
        seconds, self._seconds = self._seconds, {}
        return seconds
