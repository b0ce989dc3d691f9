"""Answers that were given before, and answers being made: nobody asks twice for the same thing."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable

Value = TypeVar("Value")


class Memory(Generic[Value]):
    """Remembers up to `capacity` answers; the least recently used are forgotten first.

    Who needs an answer that is being made waits for it. When it comes to nothing, or may not be
    kept, the next one makes it anew. With a capacity of 0 every answer is made.
    """

    def __init__(self, capacity: int) -> None:
        self.hits = self.misses = 0
        self._capacity = capacity
        self._known: OrderedDict[Hashable, Value] = OrderedDict()
        self._pending: dict[Hashable, anyio.Event] = {}

    async def recall(
        self, key: Hashable, make: Callable[[], Awaitable[Value]], *, keeps: Callable[[Value], bool]
    ) -> Value:
        """The answer to `key`; raises what `make` raises."""
        if not self._capacity:
            self.misses += 1
            return await make()
        while key not in self._known:
            pending = self._pending.get(key)
            if pending is None:
                return await self._make(key, make, keeps)
            await pending.wait()
        self.hits += 1
        self._known.move_to_end(key)
        return self._known[key]

    async def _make(
        self, key: Hashable, make: Callable[[], Awaitable[Value]], keeps: Callable[[Value], bool]
    ) -> Value:
        self.misses += 1
        pending = self._pending[key] = anyio.Event()
        try:
            value = await make()
        finally:
            del self._pending[key]
            pending.set()
        if keeps(value):
            self._known[key] = value
            if len(self._known) > self._capacity:
                self._known.popitem(last=False)
        return value
