"""WorkBuffer: the bounded slots that carry an attempt round the loop (back-pressure).

       picker                workers                    learner
    slot = reserve() --> put_result(slot, value) --> slot, value = next_result() --> release(slot)

    loop      waits for                     unblocked by
    --------  ----------------------------  ----------------------------------------------------------
    picker    a free slot                   the learner, with `release`; `close` ends it
    worker    nobody                        -
    learner   the result of the next slot   the worker that holds that slot, with `put_result`;
                                            whoever gives the slot up, with `release`; `close` ends it
                                            after the last reserved slot

The slot is freed by the consumer that has finished with the result, not by the producer: `capacity`
therefore bounds how far picking runs ahead of learning. Results are consumed in the order of the
slots, never in the order of arrival, so the same seed learns from the same work in the same order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
import anyio.lowlevel

from altlas_agent.core.records import Record

if TYPE_CHECKING:
    from typing import Self

T = TypeVar("T")


class WorkStatistics(Record):
    """The buffer in numbers: slots under way, arrived, being learned from; and all there ever were."""

    capacity: int
    reserved: int
    ready: int
    taken: int
    reserved_ever: int
    released_ever: int
    waiting_pickers: int
    is_closed: bool


class WorkBuffer(Generic[T]):
    """At most `capacity` slots in use, numbered 0, 1, 2 ... in the order they were reserved.

    For one picker, one learner and any number of workers, on one event loop.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a work buffer needs a capacity of 1 or more, not {capacity}")
        self.capacity = capacity
        self._next_slot = 0
        self._next_out = 0
        self._reserved: set[int] = set()
        self._ready: dict[int, T] = {}
        self._taken: set[int] = set()
        self._waiting = 0
        self._is_closed = False
        self._room = anyio.Event()
        self._arrived = anyio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> tuple[int, T]:
        try:
            return await self.next_result()
        except anyio.EndOfStream:
            raise StopAsyncIteration from None

    def reserve_nowait(self) -> int:
        """The next slot. Raises anyio.WouldBlock when all are in use, ClosedResourceError after `close`."""
        if self._is_closed:
            raise anyio.ClosedResourceError("the work buffer is closed")
        if len(self._reserved) + len(self._ready) + len(self._taken) >= self.capacity:
            raise anyio.WouldBlock
        slot = self._next_slot
        self._next_slot += 1
        self._reserved.add(slot)
        return slot

    async def reserve(self) -> int:
        """The next slot; waits while all are in use."""
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                return self.reserve_nowait()
            except anyio.WouldBlock:
                await self._wait_for_room()

    def put_result(self, slot: int, value: T) -> None:
        """Hand in the result of a reserved slot. Raises ValueError for any other slot."""
        if slot not in self._reserved:
            raise ValueError(f"slot {slot} waits for no result")
        self._reserved.remove(slot)
        self._ready[slot] = value
        self._arrived.set()

    def next_result_nowait(self) -> tuple[int, T]:
        """The next slot in order and its result; the slot stays in use until `release`.

        Raises anyio.WouldBlock when it has not arrived, EndOfStream when none will.
        """
        while self._next_out < self._next_slot:
            slot = self._next_out
            if slot in self._reserved:
                raise anyio.WouldBlock
            self._next_out += 1
            if slot in self._ready:  # and otherwise it was given up: skip it
                self._taken.add(slot)
                return slot, self._ready.pop(slot)
        if self._is_closed:
            raise anyio.EndOfStream
        raise anyio.WouldBlock

    async def next_result(self) -> tuple[int, T]:
        """The next slot in order and its result; waits for it. Raises anyio.EndOfStream at the end."""
        await anyio.lowlevel.checkpoint()
        while True:
            try:
                return self.next_result_nowait()
            except anyio.WouldBlock:
                self._arrived = anyio.Event()
                await self._arrived.wait()

    def release(self, slot: int) -> None:
        """Free a slot: the learner has finished with it, or its work is given up and is skipped.

        Raises ValueError for a slot that is not in use.
        """
        if slot in self._taken:
            self._taken.remove(slot)
        elif slot in self._reserved:
            self._reserved.remove(slot)
        elif slot in self._ready:
            del self._ready[slot]
        else:
            raise ValueError(f"slot {slot} is not in use")
        self._room.set()
        self._arrived.set()  # the learner may have been waiting for this very slot

    def close(self) -> None:
        """Reserve no more. What is under way still arrives and is consumed."""
        self._is_closed = True
        self._room.set()
        self._arrived.set()

    def statistics(self) -> WorkStatistics:
        """How full it is and what has gone through it."""
        in_use = len(self._reserved) + len(self._ready) + len(self._taken)
        return WorkStatistics(
            capacity=self.capacity,
            reserved=len(self._reserved),
            ready=len(self._ready),
            taken=len(self._taken),
            reserved_ever=self._next_slot,
            released_ever=self._next_slot - in_use,
            waiting_pickers=self._waiting,
            is_closed=self._is_closed,
        )

    async def _wait_for_room(self) -> None:
        if self._room.is_set():
            self._room = anyio.Event()
        self._waiting += 1
        try:
            await self._room.wait()
        finally:
            self._waiting -= 1
