"""Exploration that does not repeat itself: what was proposed for a task before is drawn again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.records import Arm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.generation.base import Row, Written
    from altlas_agent.generation.sampling import Sampler

MAX_REMEMBERED = 2_000_000


class Explorer:
    """Remembers the programs of each task. On-policy rows are left as they were drawn: redrawing them
    would change the distribution that the policy gradient assumes.
    """

    def __init__(self, sampler: Sampler, fresh_tries: int) -> None:
        self._sampler = sampler
        self._fresh_tries = fresh_tries
        self._seen: set[int] = set()

    def write(self, rows: Sequence[Row]) -> list[Written]:
        """One program per row; exploratory rows are redrawn up to `fresh_tries` times while not new."""
        written = self._sampler.write(rows)
        for _ in range(self._fresh_tries):
            stale = self._stale(rows, written)
            if not stale:
                break
            for place, again in zip(stale, self._sampler.write([rows[p] for p in stale]), strict=True):
                written[place] = again
        if len(self._seen) < MAX_REMEMBERED:
            self._seen.update(_key(row, program) for row, program in zip(rows, written, strict=True))
        return written

    def _stale(self, rows: Sequence[Row], written: Sequence[Written]) -> list[int]:
        """Places of exploratory rows whose program was proposed before, in this batch too."""
        now: set[int] = set()
        stale: list[int] = []
        for place, (row, program) in enumerate(zip(rows, written, strict=True)):
            key = _key(row, program)
            if row.arm is not Arm.POLICY and (key in self._seen or key in now):
                stale.append(place)
            now.add(key)
        return stale


def _key(row: Row, program: Written) -> int:
    return hash((row.task.key, program.tokens))
