"""How often something may be started again, and how long to wait before it is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.core.clock import NS_PER_S

if TYPE_CHECKING:
    from random import Random

    from altlas_agent.core.clock import Clock


class Intensity(NamedTuple):
    """At most so many restarts within so many seconds."""

    restarts: int
    within_s: float


_OF_AN_ACTOR = Intensity(3, 60.0)
_OF_A_GROUP = Intensity(2, 600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a supervisor puts up with."""

    actor: Intensity = _OF_AN_ACTOR
    group: Intensity = _OF_A_GROUP
    first_backoff_s: float = 0.1
    longest_backoff_s: float = 10.0
    probe_s: float = 60.0
    """How long a group that was given up rests before it is tried again."""
    steady_s: float = 10.0
    """How long it must live then to count as recovered."""
    stop_s: float = 5.0
    """How long an actor may take to end before the next one is stopped."""
    look_s: float = 0.25
    """How often pulses are looked at."""


class Restarts:
    """The restarts of one actor or group, as far back as its intensity looks."""

    def __init__(self, intensity: Intensity, clock: Clock) -> None:
        self.total = 0
        self._intensity = intensity
        self._clock = clock
        self._recent_ns: deque[int] = deque()

    def is_allowed(self) -> bool:
        """Whether one more is within the intensity now."""
        since_ns = self._clock.monotonic_ns() - round(self._intensity.within_s * NS_PER_S)
        while self._recent_ns and self._recent_ns[0] <= since_ns:
            self._recent_ns.popleft()
        return len(self._recent_ns) < self._intensity.restarts

    def count(self) -> None:
        """One more was made."""
        self.total += 1
        self._recent_ns.append(self._clock.monotonic_ns())

    def forget(self) -> None:
        """Begin anew: what was before says nothing about what comes."""
        self._recent_ns.clear()

    def backoff_s(self, limits: Limits, random: Random) -> float:
        """How long to wait before the next one: twice as long for each recent one, and by chance up to half less.

        Without the chance, actors that died of one cause would all come back at the same moment.
        """
        longest_s = min(limits.first_backoff_s * 2.0 ** len(self._recent_ns), limits.longest_backoff_s)
        return max(limits.first_backoff_s, longest_s * random.uniform(0.5, 1.0))
