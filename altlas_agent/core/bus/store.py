"""What the bus asks of the place where its durable events are kept. Whoever stores them implements it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.core.events import Envelope


class Store(Protocol):
    """The durable events of one run, 1, 2, 3 ... up to `committed_seq`.

    It has them from the subscription that `Bus.attach` returns.
    """

    @property
    def name(self) -> str:
        """How the subscription is called."""
        ...

    @property
    def committed_seq(self) -> int:
        """The last event that a kill would not lose."""
        ...

    async def committed(self, seq: int) -> None:
        """Wait until the event `seq` is committed. Raises StorageError when it will never be."""
        ...

    async def read(self, from_seq: int, limit: int) -> Sequence[Envelope]:
        """Committed events from `from_seq` on, in order, at most `limit`; empty: there are none yet.

        Their payloads are the bytes that were announced. Raises StorageError.
        """
        ...
