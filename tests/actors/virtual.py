"""A clock whose sleepers wake in order when the test lets time pass: no waiting, on both event loops."""

from __future__ import annotations

import anyio
import anyio.lowlevel

from altlas_agent.core.clock import NS_PER_S, ManualClock

SETTLED = 30
"""After so many turns of the loop whoever was woken has done what it does; nobody here takes more."""


class VirtualTime(ManualClock):
    """Time stands still but for `elapse`."""

    def __init__(self) -> None:
        super().__init__()
        self._sleepers: list[tuple[int, int, anyio.Event]] = []
        self._num_slept = 0

    async def sleep(self, seconds: float) -> None:
        """Until that much has passed."""
        self._num_slept += 1
        due_ns = self.monotonic_ns() + round(seconds * NS_PER_S)
        sleeper = (due_ns, self._num_slept, anyio.Event())
        self._sleepers.append(sleeper)
        try:
            await sleeper[2].wait()
        finally:
            self._sleepers.remove(sleeper)

    async def elapse(self, seconds: float) -> None:
        """Let time pass; whoever sleeps wakes when it is due, and does what it does before time goes on."""
        end_ns = self.monotonic_ns() + round(seconds * NS_PER_S)
        await self._settle()
        while self._sleepers and (first := min(self._sleepers, key=lambda each: each[:2]))[0] <= end_ns:
            self.advance(max(0, first[0] - self.monotonic_ns()) / NS_PER_S)
            first[2].set()
            await self._settle()
        self.advance((end_ns - self.monotonic_ns()) / NS_PER_S)

    async def _settle(self) -> None:
        for _ in range(SETTLED):
            await anyio.lowlevel.checkpoint()
