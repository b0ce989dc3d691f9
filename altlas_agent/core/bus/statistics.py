"""The channels of the bus in numbers."""

from __future__ import annotations

from altlas_agent.core.bus.policies import Policy  # noqa: TC001 - msgspec reads the annotations
from altlas_agent.core.records import Record


class SubscriptionStatistics(Record):
    """One subscription in numbers.

    What was accepted is queued, or was `delivered`, `dropped` for want of room, `coalesced` (a newer
    event of its key took its place) or `discarded` by an end. `paused` says why its reader may take
    nothing for a while; "" means that it may not.
    """

    name: str
    policy: Policy
    capacity: int
    max_bytes: int
    queued: int
    queued_bytes: int
    most_queued: int
    accepted: int
    delivered: int
    dropped: int
    coalesced: int
    discarded: int
    replayed: int
    is_replaying: bool
    is_closed: bool
    paused: str


class DeskStatistics(Record):
    """One actor that answers questions, in numbers."""

    name: str
    queued: int
    outstanding: int
    taken: int
    answered: int


class AskStatistics(Record):
    """All asking in numbers. `late` answers came when nobody waited for them any more and were dropped."""

    asked: int
    answered: int
    late: int
    timed_out: int
    died: int
    cycles: int
    outstanding: int
    desks: tuple[DeskStatistics, ...]


class BusStatistics(Record):
    """The bus in numbers. `durable` is also the last `seq`, `committed` the last one on disk."""

    durable: int
    ephemeral: int
    committed: int
    waiting_publishers: int
    dropped: int
    cut: int
    subscriptions: tuple[SubscriptionStatistics, ...]
    asks: AskStatistics
