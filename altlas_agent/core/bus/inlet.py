"""The bus's end of a subscription: the policy of its buffer, and the waits of publishers for room in it.

loop              waits for               unblocked by
----------------  ----------------------  -------------------------------------------------
`wait_for_room`   room in a full buffer   the reader; `end`, `close` and `cut`; the deadline
                                          of whoever waits
`wait_empty`      an empty buffer         the same
`wait_filled`     an event                a publisher; `end`, `close` and `cut`
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import anyio

from altlas_agent.core.bus.buffers import Buffer
from altlas_agent.core.bus.policies import CUT_S, Policy
from altlas_agent.core.clock import NS_PER_S

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.core.bus.policies import Terms
    from altlas_agent.core.events import Envelope

_CUT_NS = round(CUT_S * NS_PER_S)


class Hooks(Protocol):
    """Who wants to know about inlets: the bus."""

    def changed(self, inlet: Inlet) -> None:
        """It takes events from now on, or no longer."""
        ...

    def lost(self, inlet: Inlet) -> None:
        """It dropped an event for want of room."""
        ...


class Inlet:
    """Where events come in for one listener. `hooks` hear when it begins, ends or loses something.

    `overflow`, where it is set, is called instead of what the policy says when an event does not fit.
    """

    def __init__(self, name: str, terms: Terms, hooks: Hooks) -> None:
        self.name = name
        self.terms = terms
        self.buffer = Buffer(terms)
        self.overflow: Callable[[], None] | None = None
        self.is_live = True
        self.is_closed = False
        self.cut_reason = ""
        self.pause_reason = ""
        self.accepted = self.taken = self.dropped = self.coalesced = self.discarded = self.most_queued = 0
        self.told = 0  # how many of the dropped ones the bus has told about
        self._hooks = hooks
        self._blocks = terms.policy is Policy.BLOCK
        self._filled, self._moved = anyio.Event(), anyio.Event()
        self._is_filled_awaited = self._is_move_awaited = False
        self._progress = (0, 0)  # how many were taken, and when that was first seen

    def has_room(self, lane: int, size: int) -> bool:
        """Whether `put` takes an event of this lane and size without a loss, or without effect."""
        return self.is_closed or self.buffer.has_room(lane, size)

    def put(self, envelope: Envelope, lane: int) -> None:
        """Queue an envelope as the policy says. Never waits: for BLOCK there has to be room."""
        if self.is_closed:
            return
        self.accepted += 1
        if not self._blocks and not self._make_way(envelope, lane):
            return
        buffer = self.buffer
        buffer.push(envelope, lane)
        if buffer.count > self.most_queued:
            self.most_queued = buffer.count
        if self._is_filled_awaited:
            self._is_filled_awaited = False
            self._filled.set()

    def take(self) -> Envelope:
        """The next event; there has to be one."""
        self.taken += 1
        if self._is_move_awaited:
            self.tell_move()
        return self.buffer.take()

    async def wait_for_room(self, lane: int, size: int) -> None:
        """Wait until an event of this lane and size fits in, or nothing is taken any more."""
        while not self.has_room(lane, size):
            await self.wait_for_move()

    async def wait_for_move(self) -> None:
        """Wait until something is taken, or it is shut."""
        if self._moved.is_set():
            self._moved = anyio.Event()
        self._is_move_awaited = True
        await self._moved.wait()

    def tell_move(self) -> None:
        """Wake up whoever waits for a move."""
        self._is_move_awaited = False
        self._moved.set()

    async def wait_filled(self) -> None:
        """Wait until there is an event, or none will come."""
        while not self.buffer.count and not self.is_closed:
            self._filled = anyio.Event()
            self._is_filled_awaited = True
            await self._filled.wait()

    def go_live(self, *, is_live: bool) -> None:
        """Queue what is announced from now on, or, for a reader of the past, do not."""
        self.is_live = is_live
        self._hooks.changed(self)

    def end(self) -> None:
        """Take no more events, and drop what is ephemeral; the reader still gets the rest."""
        self.discarded += self.buffer.keep_durable()
        self._shut()

    def close(self) -> None:
        """Take no more events and drop what is queued."""
        self.discarded += self.buffer.clear()
        self._shut()

    def cut(self, reason: str) -> None:
        """Close it, and let its reader and the bus know why."""
        self.cut_reason = reason
        self.close()

    def _shut(self) -> None:
        self.is_closed = True
        self._filled.set()
        self.tell_move()
        self._hooks.changed(self)

    def _make_way(self, envelope: Envelope, lane: int) -> bool:
        """Do what the policy says for an event that comes now. False: it is not to be queued."""
        policy, size = self.terms.policy, len(envelope.payload)
        if policy is Policy.COALESCE and self.buffer.supersede(envelope.event):
            self.coalesced += 1
        is_abrupt = policy is Policy.DISCONNECT and self.overflow is None
        if is_abrupt and self._is_stalled(envelope.monotonic_ns):
            return self._break_off(f"it took nothing for {CUT_S:g} s")
        if self.buffer.has_room(lane, size):
            return True
        if self.overflow is not None:
            self.discarded += 1
            self.overflow()
            return False
        if is_abrupt:
            queued = f"{self.buffer.count} events, {self.buffer.num_bytes} bytes"
            return self._break_off(f"its buffer is full ({queued})")
        return self._evict(lane, size)

    def _evict(self, lane: int, size: int) -> bool:
        self._hooks.lost(self)
        while not self.buffer.has_room(lane, size):
            self.dropped += 1
            if not self.buffer.evict(lane):
                return False
        return True

    def _break_off(self, reason: str) -> bool:
        self.discarded += 1
        self.cut(reason)
        return False

    def _is_stalled(self, now_ns: int) -> bool:
        taken, since_ns = self._progress
        if not self.buffer.count or self.taken != taken:
            self._progress = (self.taken, now_ns)
            return False
        return now_ns - since_ns > _CUT_NS
