"""What waits for one listener: three lanes, each first in, first out, within two bounds. Waits for nobody."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING

from altlas_agent.core.bus.policies import CONTROL_BYTES, CONTROL_EVENTS, Policy
from altlas_agent.core.events import Lane

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from altlas_agent.core.bus.policies import Terms
    from altlas_agent.core.events import AnyEvent, Envelope

CONTROL, DATA, TELEMETRY = range(3)
RANKS = {Lane.CONTROL: CONTROL, Lane.DATA: DATA, Lane.TELEMETRY: TELEMETRY}

SLOTS = 8
"""Of so many slots in a row, data has at least one while it waits."""


class KeyedLane:
    """A lane in which an event takes the place of the earlier one of its key, at the end."""

    def __init__(self, key: Callable[[AnyEvent], Hashable]) -> None:
        self._key = key
        self._envelopes: OrderedDict[Hashable, Envelope] = OrderedDict()

    def __len__(self) -> int:
        return len(self._envelopes)

    def __iter__(self) -> Iterator[Envelope]:
        return iter(self._envelopes.values())

    def append(self, envelope: Envelope) -> None:
        self._envelopes[self._key(envelope.event)] = envelope

    def popleft(self) -> Envelope:
        return self._envelopes.popitem(last=False)[1]

    def clear(self) -> None:
        self._envelopes.clear()

    def forget(self, key: Hashable) -> Envelope | None:
        """Take out what has this key."""
        return self._envelopes.pop(key, None)


class Buffer:
    """The events queued for one listener. Control goes before data and data before telemetry.

    Data has at least one slot of `SLOTS`. `in_order` puts all into one lane, in order of publication.
    """

    __slots__ = (
        "_data",
        "_key",
        "_keyed",
        "_lanes",
        "_max_bytes",
        "_max_events",
        "_places",
        "_urgent",
        "count",
        "num_bytes",
    )

    def __init__(self, terms: Terms) -> None:
        self._key = terms.key if terms.policy is Policy.COALESCE else None
        self._keyed = tuple(KeyedLane(self._key) for _ in range(3)) if self._key else ()
        self._lanes: tuple[deque[Envelope] | KeyedLane, ...] = self._keyed or (deque(), deque(), deque())
        self._places = (DATA, DATA, DATA) if terms.in_order else (CONTROL, DATA, TELEMETRY)
        self._max_events = (terms.capacity + CONTROL_EVENTS, terms.capacity, terms.capacity)
        self._max_bytes = (terms.max_bytes + CONTROL_BYTES, terms.max_bytes, terms.max_bytes)
        self._urgent = 0
        self.count = 0
        self.num_bytes = 0

    def has_room(self, lane: int, size: int) -> bool:
        """Whether an event of this lane, with a payload of `size` bytes, fits in now."""
        return self.count < self._max_events[lane] and self.num_bytes + size <= self._max_bytes[lane]

    def push(self, envelope: Envelope, lane: int) -> None:
        """Queue an event for which there is room."""
        self._lanes[self._places[lane]].append(envelope)
        self.count += 1
        self.num_bytes += len(envelope.payload)

    def take(self) -> Envelope:
        """The next event. Raises IndexError or KeyError when there is none."""
        control, data, telemetry = self._lanes
        if control and (self._urgent < SLOTS - 1 or not data):
            self._urgent += 1
            envelope = control.popleft()
        elif data:
            self._urgent = 0
            envelope = data.popleft()
        else:
            envelope = telemetry.popleft()
        self.count -= 1
        self.num_bytes -= len(envelope.payload)
        return envelope

    def supersede(self, event: AnyEvent) -> bool:
        """COALESCE: take out the event that `event` replaces. False: there is none."""
        if self._key is None:
            return False
        key = self._key(event)
        for lane in self._keyed:
            if (old := lane.forget(key)) is not None:
                self._forget(old)
                return True
        return False

    def evict(self, lane: int) -> bool:
        """Drop the oldest event of the least urgent lane. False: an event of `lane` is less urgent still."""
        for rank in (TELEMETRY, DATA, CONTROL):
            if self._lanes[rank]:
                self._forget(self._lanes[rank].popleft())
                return True
            if rank == self._places[lane]:
                return False
        return False

    def keep_durable(self) -> int:
        """Drop what is ephemeral; returns how many that were."""
        before = self.count
        for lane in self._lanes:
            kept = [envelope for envelope in lane if envelope.event.durable]
            for envelope in lane:
                if not envelope.event.durable:
                    self._forget(envelope)
            lane.clear()
            for envelope in kept:
                lane.append(envelope)
        return before - self.count

    def clear(self) -> int:
        """Drop everything; returns how many that were."""
        before, self.count, self.num_bytes = self.count, 0, 0
        for lane in self._lanes:
            lane.clear()
        return before

    def _forget(self, envelope: Envelope) -> None:
        self.count -= 1
        self.num_bytes -= len(envelope.payload)
