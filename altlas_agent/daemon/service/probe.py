"""Does the store still take what it is given? Asked once a second, by having an empty batch committed.

loop    waits for                          unblocked by
------  ---------------------------------  --------------------------------------
`run`   the next second                    the clock
... then its batch to be answered          the writer; its failure is raised
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from storage.writer import Writer, WriterStatistics

EVERY_S = 1.0
STALE_S = 5.0
"""How old the last answer may be."""


class StoreProbe:
    """Knows when the writer last moved. Its `run` raises the StorageError that ended the store."""

    name = "store probe"

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._moved_at = time.monotonic()

    @property
    def has_moved(self) -> bool:
        """Whether it moves, or said what it waits for: a locked database and a full disk are no deaths."""
        return self._writer.statistics().pause is not None or time.monotonic() - self._moved_at < STALE_S

    @property
    def trouble(self) -> str:
        """Why nothing can be stored now; empty when it can."""
        pause = self._writer.statistics().pause
        if pause is not None:
            return f"the store waits: {pause.value}"
        return "" if self.has_moved else f"the store has not answered for {STALE_S:g} s"

    def statistics(self) -> WriterStatistics:
        return self._writer.statistics()

    async def run(self) -> None:
        """Ask until cancelled. Raises StorageError."""
        while True:
            await self._writer.flush()
            self._moved_at = time.monotonic()
            await anyio.sleep(EVERY_S)
