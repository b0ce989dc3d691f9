"""Who may go next: a bounded number at a time, one of each caller in turn."""

from __future__ import annotations

from collections import OrderedDict, deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator


class Turns:
    """Admits `limit` at a time. A caller with a thousand requests delays one with a single one by one turn.

    `limit` may change at any time: raising it admits at once, lowering it takes effect as turns end.
    """

    def __init__(self, limit: int) -> None:
        self.in_flight = 0
        self._limit = limit
        self._waiting: OrderedDict[str, deque[anyio.Event]] = OrderedDict()

    @property
    def limit(self) -> int:
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        self._limit = limit
        self._admit()

    @property
    def waiting(self) -> int:
        return sum(map(len, self._waiting.values()))

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncGenerator[None]:
        """Wait for a turn of this caller; it lasts as long as the block."""
        await self._wait(caller)
        try:
            yield
        finally:
            self.in_flight -= 1
            self._admit()

    async def _wait(self, caller: str) -> None:
        admitted = anyio.Event()
        self._waiting.setdefault(caller, deque()).append(admitted)
        self._admit()
        try:
            await admitted.wait()
        except BaseException:  # cancelled: give the turn back, or the place in the queue
            if admitted.is_set():
                self.in_flight -= 1
                self._admit()
            else:
                self._leave(caller, admitted)
            raise

    def _leave(self, caller: str, admitted: anyio.Event) -> None:
        self._waiting[caller].remove(admitted)
        if not self._waiting[caller]:
            del self._waiting[caller]

    def _admit(self) -> None:
        while self._waiting and self.in_flight < self._limit:
            caller, queue = self._waiting.popitem(last=False)
            queue.popleft().set()
            self.in_flight += 1
            if queue:
                self._waiting[caller] = queue  # behind all others
