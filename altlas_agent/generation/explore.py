"""Exploration that does not repeat itself: what was proposed for a task before is drawn again."""

from __future__ import annotations

from array import array
from hashlib import blake2b
from typing import TYPE_CHECKING

import numpy as np

from altlas_agent.core.records import Arm

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

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

    def state(self) -> NDArray[np.int64]:
        """(S,) what was proposed so far, to go on from later."""
        return np.sort(np.fromiter(self._seen, dtype=np.int64, count=len(self._seen)))

    def restore(self, seen: NDArray[np.int64]) -> None:
        """Go on from there."""
        self._seen = set(seen.tolist())

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
    """64 bits that are the same in every process, unlike Python's hash of a text."""
    what = row.task.key.encode() + b"\0" + array("H", program.tokens).tobytes()
    return int.from_bytes(blake2b(what, digest_size=8).digest(), "big", signed=True)
