"""The listener's end of a subscription: what it reads, from the past or as it comes, and how far it has read.

    loop                waits for   unblocked by
    ------------------  ----------  ----------------------------------------------------------
    reader              an event    a publisher; `Bus.close`, `close`, and being cut off end it
    reader, replaying   the store   see replay.py

There is no checkpoint per event: a reader gives way to others once every `YIELD_EVERY` events.
"""

from __future__ import annotations

from collections import deque
from contextlib import contextmanager
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from altlas_agent.core.bus.statistics import SubscriptionStatistics
from altlas_agent.core.errors import CutOffError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType
    from typing import Self

    from altlas_agent.core.bus.inlet import Inlet
    from altlas_agent.core.bus.replay import Replay
    from altlas_agent.core.events import Envelope

YIELD_EVERY = 64
BATCH = 1024


class Subscription:
    """One listener's queue of events. Made by `Bus.subscribe`; for one reader, on the loop of its bus.

    Iterate over it, or take many at once with `receive_batch` or `drain_nowait`. What is queued when the
    bus closes is still handed out; a listener that was cut off gets a CutOffError instead.
    """

    def __init__(self, inlet: Inlet, *, seen: int, committed: Callable[[], int]) -> None:
        self.name = inlet.name
        self.seen = seen
        """The `seq` of the last event that was handed out. To begin again in this process: `seen + 1`."""
        self._inlet = inlet
        self._buffer = inlet.buffer
        self._committed = committed
        self._past: Replay | None = None
        self._page: deque[Envelope] = deque()
        self._is_read = False
        self._since_yield = self._replayed = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Envelope:
        if self._since_yield >= YIELD_EVERY:
            await self._give_way()  # a full queue must not starve the loop
        if (not self._buffer.count or self._past is not None) and not await self._wait():
            raise StopAsyncIteration
        self._since_yield += 1
        return self._take()

    async def receive_batch(self, max_events: int = BATCH) -> list[Envelope]:
        """Wait for an event, then take what is there, at most `max_events`. Empty: it is over."""
        if self._buffer.count or self._page:
            await self._give_way()
        await self._wait()
        return [self._take() for _ in range(min(max_events, self._num_at_hand()))]

    def drain_nowait(self) -> list[Envelope]:
        """Everything that is at hand, without waiting."""
        self._check_whole()
        return [self._take() for _ in range(self._num_at_hand())]

    @property
    def is_drained(self) -> bool:
        """True when the reader has taken everything."""
        return self._past is None and not self._page and not self._buffer.count

    async def wait_drained(self) -> None:
        """Wait until the reader has taken everything, or is gone."""
        while not self.is_drained:
            await self._inlet.wait_for_move()

    @property
    def cursor(self) -> int:
        """The last event that was handed out and is committed: the next process may begin after it.

        Only for a listener in order. A number that is not committed may be another event's after a kill.
        """
        if not self._inlet.terms.in_order:
            raise ValueError(f"{self.name} listens by lanes: no number says how far it has read")
        return min(self.seen, self._committed())

    @contextmanager
    def paused(self, reason: str) -> Generator[None]:
        """Declare that nothing is taken for a while, as for `disk_full`: that is no death, nobody is cut."""
        self._inlet.pause_reason = reason
        try:
            yield
        finally:
            self._inlet.pause_reason = ""

    def close(self) -> None:
        """Take no more events and drop what is queued: the reader has gone."""
        self._past = None
        self._page.clear()
        self._inlet.close()

    def read_first(self, past: Replay) -> None:
        """Read `past` before what is queued. Only the bus calls it."""
        self._past = past

        def overflow() -> None:
            self._inlet.discarded += self._buffer.clear()
            self._inlet.go_live(is_live=False)
            past.start_over()

        self._inlet.overflow = overflow

    def statistics(self) -> SubscriptionStatistics:
        """What has gone through it so far."""
        inlet, terms = self._inlet, self._inlet.terms
        return SubscriptionStatistics(
            name=self.name,
            policy=terms.policy,
            capacity=terms.capacity,
            max_bytes=terms.max_bytes,
            queued=self._buffer.count,
            queued_bytes=self._buffer.num_bytes,
            most_queued=inlet.most_queued,
            accepted=inlet.accepted,
            delivered=inlet.taken + self._replayed,
            dropped=inlet.dropped,
            coalesced=inlet.coalesced,
            discarded=inlet.discarded,
            replayed=self._replayed,
            is_replaying=self._past is not None,
            is_closed=inlet.is_closed,
            paused=inlet.pause_reason,
        )

    def _num_at_hand(self) -> int:
        return len(self._page) + (0 if self._past is not None else self._buffer.count)

    def _take(self) -> Envelope:
        if self._page:
            self._replayed += 1
            envelope = self._page.popleft()
        else:
            envelope = self._inlet.take()
        self.seen = envelope.seq
        return envelope

    async def _give_way(self) -> None:
        self._since_yield = 0
        await anyio.lowlevel.checkpoint()

    async def _wait(self) -> bool:
        """Wait until something is at hand. False: it is over. Raises CutOffError, BusyResourceError."""
        if self._is_read:
            raise anyio.BusyResourceError(f"reading from subscription {self.name!r}")
        self._is_read = True
        try:
            if self._past is not None:
                await self._read_past()
            if not self._num_at_hand():
                self._since_yield = 0
                await self._inlet.wait_filled()
        finally:
            self._is_read = False
        self._check_whole()
        return self._num_at_hand() > 0

    async def _read_past(self) -> None:
        while (past := self._past) is not None and not self._page:
            page = await past.page()
            if self._past is not past:
                return  # closed meanwhile
            if not page:
                self._past = self._inlet.overflow = None
            types = self._inlet.terms.types
            self._page.extend(envelope for envelope in page if type(envelope.event) in types)
        self._inlet.tell_move()

    def _check_whole(self) -> None:
        if self._inlet.cut_reason:
            raise CutOffError(self.name, self._inlet.cut_reason, self.seen)
