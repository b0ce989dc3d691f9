"""From the store to the present: a listener that begins in the past, without a gap and without a repetition.

    stored   1 2 3 4 5 6 7 | 8 9      committed | announced, on their way to the disk
    page     .....3 4 5 6 7 | 8 9     the store alone, page by page; then wait for what is on its way
    queue                        10 11 ...  from the moment of `join` on

    loop   waits for            unblocked by
    -----  -------------------  ------------------------------------------
    page   a page               the store
    page   the commit of what   the store, also when it fails or ends
           was on its way

Until it has read all that is committed, a listener queues nothing: how long the past is, and how slowly
it is read, costs no memory and holds up nobody.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from altlas_agent.core.bus.store import Store
    from altlas_agent.core.events import Envelope

PAGE = 512
"""How many events are read from the store at once."""


class Replay:
    """The past of one listener from `from_seq` on.

    `join` begins to queue what is announced from then on, and returns the last `seq` before that.
    """

    def __init__(self, store: Store, from_seq: int, join: Callable[[], int]) -> None:
        self._store = store
        self._next = from_seq
        self._join = join
        self._last: int | None = None

    async def page(self) -> Sequence[Envelope]:
        """The next stored events in order; empty: what follows is queued. Raises StorageError."""
        while self._last is None or self._next <= self._last:
            if self._last is not None:
                await self._store.committed(self._last)
            page = await self._read()
            if self._last is None and len(page) < PAGE:  # that was all that is committed
                self._last = self._join()
            if page:
                return page
        return ()

    def start_over(self) -> None:
        """What was queued is gone, for there was too much of it: go on reading and `join` once more."""
        self._last = None

    async def _read(self) -> Sequence[Envelope]:
        page = await self._store.read(self._next, PAGE)
        if self._last is not None:  # what has come since is queued
            page = [envelope for envelope in page if envelope.seq <= self._last]
        if not page:
            return page
        seqs = [envelope.seq for envelope in page]
        if seqs != list(range(self._next, self._next + len(page))):
            raise StorageError(f"{self._store.name}: events from {self._next} on are missing in the store")
        self._next += len(page)
        return page
