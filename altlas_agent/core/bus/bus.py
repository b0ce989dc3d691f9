"""Publish and subscribe: the facts of one run in one order, bounded, and held up by nobody but the store.

    loop                        waits for                    unblocked by
    --------------------------  ---------------------------  ------------------------------------------
    publisher, `publish`        room in a full BLOCK buffer  its reader; see gate.py
    publisher, `..durable`      the commit of its event      the store; `block_s`
    publisher, `publish_nowait` nobody                       -
    `aclose`                    readers, then the commit     them, or its deadline

A publisher gives way to others once every `YIELD_EVERY` events. No tasks, no threads: one event loop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel

from altlas_agent.core.bus.asking.asks import Asks
from altlas_agent.core.bus.gate import Gate
from altlas_agent.core.bus.inlet import Inlet
from altlas_agent.core.bus.packing import Numbers, pack
from altlas_agent.core.bus.policies import BLOCK_S, CAPACITY, MAX_BYTES, Policy, Terms, by_type
from altlas_agent.core.bus.replay import Replay
from altlas_agent.core.bus.reports import Reports
from altlas_agent.core.bus.routes import Listeners
from altlas_agent.core.bus.statistics import BusStatistics
from altlas_agent.core.bus.subscription import YIELD_EVERY, Subscription
from altlas_agent.core.errors import DeadlineExceeded, EventRefused, StorageError
from altlas_agent.core.events import EVENT_TYPES, AnyEvent, Envelope, Event

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Hashable

    from altlas_agent.core.bus.store import Store
    from altlas_agent.core.clock import Clock

CLOSE_S = 1.9


class Bus:
    """The facts of one run, numbered in one order and handed to every listener.

    A listener in order gets them in that order; one with lanes gets each lane in that order.
    """

    def __init__(self, run_id: int, clock: Clock, *, block_s: float = BLOCK_S, last_seq: int = 0) -> None:
        self.run_id = run_id
        self.asks = Asks(lambda: self.last_seq)
        self._first_seq = last_seq
        self._numbers = Numbers(run_id, clock, last_seq)
        self._gate = Gate(block_s)
        self._listeners = Listeners()
        self._reports = Reports()
        self._store: tuple[Store, Inlet] | None = None
        self._is_closed = False
        self._since_yield = 0

    def attach(self, store: Store) -> Subscription:
        """Have all durable events from now on kept by `store`, which reads them from what is returned.

        Raises StorageError when there were events before that no store has.
        """
        if self.last_seq != self.committed_seq:
            lacking = f"{self.committed_seq + 1} to {self.last_seq}"
            raise StorageError(f"events {lacking} did not reach {store.name}")
        durable = [kind for kind in EVENT_TYPES if kind.durable]
        subscription = self.subscribe(store.name, types=durable, policy=Policy.BLOCK, in_order=True)
        self._store = (store, self._listeners.inlet(store.name))
        return subscription

    def subscribe(
        self,
        name: str,
        *,
        policy: Policy,
        types: Collection[type[Event]] | None = None,
        capacity: int = CAPACITY,
        max_bytes: int = MAX_BYTES,
        in_order: bool = False,
        key: Callable[[AnyEvent], Hashable] = by_type,
        from_seq: int | None = None,
    ) -> Subscription:
        """Listen from now on, or from event `from_seq` on, to some `types` or to all.

        `in_order` keeps the one order instead of lanes, as DISCONNECT and `from_seq` always do. `key` is
        what COALESCE keeps the latest of. Raises ValueError for a name in use, for terms that make no
        sense, and for a `from_seq` that has not come yet; StorageError for one without a store.
        """
        self._check_open()
        self._listeners.check_free(name)
        terms = Terms(
            types=EVENT_TYPES if types is None else frozenset(types),
            policy=policy,
            capacity=capacity,
            max_bytes=max_bytes,
            in_order=in_order or policy is Policy.DISCONNECT or from_seq is not None,
            key=key,
        )
        inlet = Inlet(name, terms, self)
        seen = self.last_seq if from_seq is None else from_seq - 1
        subscription = Subscription(inlet, seen=seen, committed=lambda: self.committed_seq)
        if from_seq is not None:
            self._replay(inlet, subscription, from_seq)
        self._listeners.add(inlet, subscription)
        return subscription

    @property
    def last_seq(self) -> int:
        """The number of the last durable event."""
        return self._numbers.seq

    @property
    def committed_seq(self) -> int:
        """The last event that a kill would not lose; without a store, the last one before this bus."""
        return self._store[0].committed_seq if self._store else self._first_seq

    @property
    def is_stored(self) -> bool:
        """Whether something stores what is announced."""
        return self._store is not None

    async def wait_committed(self, seq: int) -> None:
        """Wait until the event `seq` is on disk. Raises StorageError when it will never be, or nothing stores."""
        if self._store is None:
            raise StorageError(f"nothing stores the events of run r{self.run_id}")
        await self._store[0].committed(seq)

    async def publish(self, event: AnyEvent, *, cause_seq: int | None = None) -> Envelope:
        """Announce a fact. Waits, for `block_s` at most, only while a BLOCK buffer is full.

        Returns when it is queued; see `publish_durable`. Raises EventRefused, DeadlineExceeded from a
        full buffer, StorageError when the store is gone, ClosedResourceError after `close`: then, and
        when it is cancelled, nobody got it.
        """
        self._since_yield += 1
        if self._since_yield >= YIELD_EVERY:
            self._since_yield = 0
            await anyio.lowlevel.checkpoint()
        kind, payload = type(event), pack(event)
        if self._listeners.route(kind).first_full(len(payload)):
            await self._gate.wait(lambda: self._listeners.route(kind), len(payload))
        return self._send(event, payload, cause_seq)

    async def publish_durable(self, event: AnyEvent, *, cause_seq: int | None = None) -> Envelope:
        """Announce a durable fact and wait for the group commit that contains it, for `block_s` at most.

        Raises what `publish` raises, and DeadlineExceeded or StorageError when it was announced, but is
        not known to be stored: that is no acknowledgement.
        """
        if self._store is None or not event.durable:
            raise EventRefused(
                type(event).__name__, "nothing stores it: it is ephemeral or there is no store"
            )
        store, _ = self._store
        envelope = await self.publish(event, cause_seq=cause_seq)
        with anyio.move_on_after(self._gate.block_s):
            await store.committed(envelope.seq)
            return envelope
        raise DeadlineExceeded(store.name, f"the commit of event {envelope.seq}", self._gate.block_s)

    def publish_nowait(self, event: AnyEvent, *, cause_seq: int | None = None) -> Envelope:
        """Announce a fact without waiting. Raises what `publish` raises; WouldBlock for a full buffer."""
        payload = pack(event)
        if self._listeners.route(type(event)).first_full(len(payload)):
            raise anyio.WouldBlock
        return self._send(event, payload, cause_seq)

    def close(self) -> None:
        """Take no more events; listeners still get the durable ones that are queued, then they end."""
        if self._is_closed:
            return
        self._is_closed = True
        self._reports.log_rest()
        self.asks.close()
        for inlet, _ in self._listeners:
            if not inlet.is_closed:
                inlet.end()

    async def aclose(self, timeout_s: float = CLOSE_S) -> tuple[str, ...]:
        """Close, and wait until everything durable is read and committed, `timeout_s` at most.

        Returns the names of those that did not take it in time, which are cut off.
        """
        self.close()
        with anyio.move_on_after(timeout_s):
            for _, subscription in self._listeners:
                await subscription.wait_drained()
            if self._store is not None:
                await self._store[0].committed(self.last_seq)
            return ()
        hung = [inlet for inlet, subscription in self._listeners if not subscription.is_drained]
        for inlet in hung:
            inlet.cut(f"it did not take the rest within {timeout_s:g} s of the end")
        names = [inlet.name for inlet in hung]
        if self._store is not None and self.committed_seq < self.last_seq:
            names.append(self._store[0].name)
        return tuple(dict.fromkeys(names))

    def statistics(self) -> BusStatistics:
        """What was published, and how each subscription fares."""
        return BusStatistics(
            durable=self.last_seq,
            ephemeral=self._numbers.ephemeral_seq,
            committed=self.committed_seq,
            waiting_publishers=self._gate.waiting,
            dropped=self._listeners.dropped,
            cut=self._reports.cut,
            subscriptions=tuple(each.statistics() for _, each in self._listeners),
            asks=self.asks.statistics(),
        )

    def changed(self, inlet: Inlet) -> None:
        """For inlets: this one takes events from now on, or no longer."""
        self._listeners.changed(inlet, keep=self._is_closed)
        if inlet.cut_reason:
            self._reports.add_cut(inlet)

    def lost(self, inlet: Inlet) -> None:
        """For inlets: this one dropped something."""
        self._reports.add_loss(inlet)

    def _send(self, event: AnyEvent, payload: bytes, cause_seq: int | None) -> Envelope:
        self._check_open()
        if event.durable and self._store is not None and self._store[1].is_closed:
            raise StorageError(
                f"{self._store[0].name} takes no more events: {type(event).__name__} was not kept"
            )
        envelope = self._numbers.envelope(event, payload, cause_seq)
        route = self._listeners.route(type(event))
        for inlet in route.inlets:
            inlet.put(envelope, route.lane)
        if self._reports.is_pending:
            self._report(envelope.monotonic_ns)
        return envelope

    def _report(self, now_ns: int) -> None:
        """Tell about losses and ends to those who have room: telling must cause no further loss."""
        for event in self._reports.take(now_ns):
            envelope = self._numbers.envelope(event, pack(event), None)
            route = self._listeners.route(type(event))
            for inlet in route.inlets:
                if inlet.has_room(route.lane, len(envelope.payload)):
                    inlet.put(envelope, route.lane)

    def _replay(self, inlet: Inlet, subscription: Subscription, from_seq: int) -> None:
        if self._store is None:
            raise StorageError(f"{inlet.name} wants events from {from_seq} on, and no store keeps them")
        if not 1 <= from_seq <= self.last_seq + 1:
            raise ValueError(f"{inlet.name} wants events from {from_seq} on; the last one is {self.last_seq}")

        def join() -> int:
            inlet.go_live(is_live=True)
            return self.last_seq

        inlet.is_live = False
        subscription.read_first(Replay(self._store[0], from_seq, join))

    def _check_open(self) -> None:
        if self._is_closed:
            raise anyio.ClosedResourceError(f"the bus of run r{self.run_id} is closed")
