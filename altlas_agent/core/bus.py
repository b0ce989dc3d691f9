"""Publish and subscribe: bounded, coalescing, and held up by nobody but the recorder.

    loop                   waits for                        unblocked by
    ---------------------  -------------------------------  ----------------------------------------
    publisher, `publish`   room in a full BLOCK queue       its reader; or `block_s`, with an error
    publisher, `..nowait`  nobody                           -
    reader                 an event                         a publisher; `Bus.close` and
                                                            `Subscription.close` end it

No wait and no checkpoint per event: an event is appended to each queue, and a reader takes what is
there. A reader gives way to others once every `YIELD_EVERY` events. All of it belongs to one event
loop; nothing here may be called from another thread.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from altlas_agent.core.errors import DeadlineExceeded
from altlas_agent.core.events import EVENT_TYPES, AnyEvent, Envelope, Event
from altlas_agent.core.records import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable
    from types import TracebackType
    from typing import Self

    from altlas_agent.core.clock import Clock

CAPACITY = 1024
BLOCK_S = 30.0
YIELD_EVERY = 64


class Policy(enum.StrEnum):
    """What happens when a subscription's queue is full."""

    BLOCK = "block"
    DROP_OLDEST = "drop_oldest"
    COALESCE = "coalesce"


class SubscriptionStatistics(Record):
    """One subscription in numbers. `coalesced` events gave way to a newer one of the same key."""

    name: str
    policy: Policy
    capacity: int
    queued: int
    most_queued: int
    delivered: int
    dropped: int
    coalesced: int
    is_closed: bool


class BusStatistics(Record):
    """The bus in numbers. `durable` is also the last `seq`."""

    durable: int
    ephemeral: int
    waiting_publishers: int
    subscriptions: tuple[SubscriptionStatistics, ...]


def by_type(event: AnyEvent) -> Hashable:
    """The usual key of COALESCE: only the latest event of each type stays."""
    return type(event)


class Subscription:
    """One listener's bounded queue, in order of publication. Made by `Bus.subscribe`; one reader.

    Iterate over it, or take everything at once with `drain_nowait` or `receive_batch`.
    """

    def __init__(
        self,
        name: str,
        *,
        types: Collection[type[Event]],
        policy: Policy,
        capacity: int,
        key: Callable[[AnyEvent], Hashable],
    ) -> None:
        if capacity < 1:
            raise ValueError(f"subscription {name!r} needs a capacity of 1 or more, not {capacity}")
        self.name = name
        self.policy = policy
        self.capacity = capacity
        self.types = frozenset(types)
        self.is_closed = False
        self._key = key
        self._queue: OrderedDict[Hashable, Envelope] = OrderedDict()
        self._arrived = anyio.Event()
        self._room = anyio.Event()
        self._accepted = self._delivered = self._dropped = self._coalesced = self._most_queued = 0

    @property
    def is_full(self) -> bool:
        return len(self._queue) >= self.capacity

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Envelope:
        if self._delivered % YIELD_EVERY == 0:
            await anyio.lowlevel.checkpoint()  # a full queue must not starve the loop
        if not await self._wait_for_events():
            raise StopAsyncIteration
        return self._take()

    async def receive_batch(self, max_events: int = CAPACITY) -> list[Envelope]:
        """Wait for an event, then take what is queued, at most `max_events`. Empty: it is over."""
        await anyio.lowlevel.checkpoint()
        await self._wait_for_events()
        return [self._take() for _ in range(min(max_events, len(self._queue)))]

    def drain_nowait(self) -> list[Envelope]:
        """Everything that is queued, without waiting."""
        return [self._take() for _ in range(len(self._queue))]

    def end(self) -> None:
        """Take no more events; the reader still gets what is queued."""
        self.is_closed = True
        self._arrived.set()
        self._room.set()

    def close(self) -> None:
        """Take no more events and drop what is queued: the reader has gone."""
        self._queue.clear()
        self.end()

    def statistics(self) -> SubscriptionStatistics:
        """What has gone through it so far."""
        return SubscriptionStatistics(
            name=self.name,
            policy=self.policy,
            capacity=self.capacity,
            queued=len(self._queue),
            most_queued=self._most_queued,
            delivered=self._delivered,
            dropped=self._dropped,
            coalesced=self._coalesced,
            is_closed=self.is_closed,
        )

    def put(self, envelope: Envelope) -> None:
        """Queue an envelope as the policy says. Never waits; only the bus calls it."""
        self._accepted += 1
        key: Hashable = self._accepted
        if self.policy is Policy.COALESCE:
            # A tuple, so that no key of the caller's can be taken for another kind of key.
            key = (self._key(envelope.event),)
            if self._queue.pop(key, None) is not None:
                self._coalesced += 1
        if self.is_full:
            assert self.policy is not Policy.BLOCK, "the bus waits for room first"
            self._queue.popitem(last=False)
            self._dropped += 1
        self._queue[key] = envelope
        self._most_queued = max(self._most_queued, len(self._queue))
        self._arrived.set()

    async def wait_for_room(self) -> None:
        """Wait until the queue has room or takes no more events."""
        while self.is_full and not self.is_closed:
            if self._room.is_set():
                self._room = anyio.Event()
            await self._room.wait()

    async def _wait_for_events(self) -> bool:
        while not self._queue:
            if self.is_closed:
                return False
            self._arrived = anyio.Event()
            await self._arrived.wait()
        return True

    def _take(self) -> Envelope:
        _, envelope = self._queue.popitem(last=False)
        self._delivered += 1
        self._room.set()
        return envelope


class Bus:
    """The facts of one run, numbered in one order and handed to every listener in that order."""

    def __init__(self, run_id: int, clock: Clock, *, block_s: float = BLOCK_S, last_seq: int = 0) -> None:
        self.run_id = run_id
        self._clock = clock
        self._block_s = block_s
        self._seq = last_seq
        self._ephemeral_seq = 0
        self._waiting = 0
        self._is_closed = False
        self._subscriptions: list[Subscription] = []

    def subscribe(
        self,
        name: str,
        *,
        types: Collection[type[Event]] | None = None,
        policy: Policy = Policy.BLOCK,
        capacity: int = CAPACITY,
        key: Callable[[AnyEvent], Hashable] = by_type,
    ) -> Subscription:
        """Listen from now on, to some `types` or to all. `key` is what COALESCE keeps the latest of.

        Only a listener that may hold up the run, the recorder, takes BLOCK. Raises ValueError for a
        name in use, an unknown type or a capacity below 1.
        """
        self._check_open()
        wanted = EVENT_TYPES if types is None else frozenset(types)
        if unknown := wanted - EVENT_TYPES:
            raise ValueError(f"not an event: {', '.join(sorted(kind.__name__ for kind in unknown))}")
        self._subscriptions = [each for each in self._subscriptions if not each.is_closed]
        if any(each.name == name for each in self._subscriptions):
            raise ValueError(f"two subscriptions named {name!r}")
        subscription = Subscription(name, types=wanted, policy=policy, capacity=capacity, key=key)
        self._subscriptions.append(subscription)
        return subscription

    async def publish(self, event: AnyEvent, *, cause_seq: int | None = None) -> Envelope:
        """Announce a fact. Waits, for `block_s` at most, only while a BLOCK queue is full.

        Raises DeadlineExceeded, naming the listener, when that time is over: nobody got the event.
        """
        await self._wait_for_room(event)
        return self.publish_nowait(event, cause_seq=cause_seq)

    def publish_nowait(self, event: AnyEvent, *, cause_seq: int | None = None) -> Envelope:
        """Announce a fact without waiting.

        Raises anyio.WouldBlock when a BLOCK queue is full (nobody got the event), ClosedResourceError
        after `close`, TypeError for what is no event.
        """
        self._check_open()
        if type(event) not in EVENT_TYPES:
            raise TypeError(f"not an event: {type(event).__name__}")
        if self._first_full(event):
            raise anyio.WouldBlock
        envelope = self._number(event, cause_seq)
        for subscription in self._subscriptions:
            if type(event) in subscription.types and not subscription.is_closed:
                subscription.put(envelope)
        return envelope

    def close(self) -> None:
        """Take no more events; every subscription ends after what is queued in it."""
        self._is_closed = True
        for subscription in self._subscriptions:
            subscription.end()

    def statistics(self) -> BusStatistics:
        """What was published, and how each subscription fares."""
        return BusStatistics(
            durable=self._seq,
            ephemeral=self._ephemeral_seq,
            waiting_publishers=self._waiting,
            subscriptions=tuple(each.statistics() for each in self._subscriptions),
        )

    def _number(self, event: AnyEvent, cause_seq: int | None) -> Envelope:
        if event.durable:
            self._seq += 1
        else:
            self._ephemeral_seq += 1
        return Envelope(
            run_id=self.run_id,
            seq=self._seq,
            monotonic_ns=self._clock.monotonic_ns(),
            wall_ns=self._clock.wall_ns(),
            cause_seq=cause_seq,
            event=event,
            ephemeral_seq=0 if event.durable else self._ephemeral_seq,
        )

    def _first_full(self, event: AnyEvent) -> Subscription | None:
        for each in self._subscriptions:
            if (
                each.policy is Policy.BLOCK
                and each.is_full
                and not each.is_closed
                and type(event) in each.types
            ):
                return each
        return None

    async def _wait_for_room(self, event: AnyEvent) -> None:
        full = self._first_full(event)
        if full is None:
            return
        self._waiting += 1
        try:
            with anyio.move_on_after(self._block_s):
                while full is not None:
                    await full.wait_for_room()
                    full = self._first_full(event)
        finally:
            self._waiting -= 1
        if full is not None:
            what = f"the bus (its queue of {full.capacity} events is full)"
            raise DeadlineExceeded(full.name, what, self._block_s)

    def _check_open(self) -> None:
        if self._is_closed:
            raise anyio.ClosedResourceError(f"the bus of run r{self.run_id} is closed")
