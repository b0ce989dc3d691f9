"""How a listener is fed: the bounds of its buffer, and what happens when they are reached."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from altlas_agent.core.bus.packing import MAX_PAYLOAD_BYTES
from altlas_agent.core.events import EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from altlas_agent.core.events import AnyEvent, Event

CAPACITY = 1024
MAX_BYTES = 8 * 1024 * 1024

CONTROL_EVENTS = 64
CONTROL_BYTES = 1024 * 1024
"""Room beyond the bounds that only control events take: a buffer full of data does not hold them up."""

BLOCK_S = 30.0
"""How long a publisher waits for a full BLOCK buffer, at most."""

CUT_S = 10.0
"""How long a DISCONNECT listener may take nothing of what is queued."""


class Policy(enum.StrEnum):
    """What happens when the buffer of a listener is full."""

    BLOCK = "block"
    """The publisher waits, `BLOCK_S` at most. For the recorder alone: facts wait for nobody else."""
    DROP_OLDEST = "drop_oldest"
    """The oldest event of the least urgent lane goes, be it the newcomer."""
    COALESCE = "coalesce"
    """Only the latest event of each key is kept; beyond that as DROP_OLDEST."""
    DISCONNECT = "disconnect"
    """The listener is cut off, also after `CUT_S` without progress. It resumes from its cursor."""


def by_type(event: AnyEvent) -> Hashable:
    """The usual key of COALESCE: only the latest event of each type stays."""
    return type(event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a listener declared. Raises ValueError for an unknown type, or bounds that fit no event."""

    types: frozenset[type[Event]]
    policy: Policy
    capacity: int
    max_bytes: int
    in_order: bool
    key: Callable[[AnyEvent], Hashable]

    def __post_init__(self) -> None:
        if unknown := self.types - EVENT_TYPES:
            raise ValueError(f"not an event: {', '.join(sorted(kind.__name__ for kind in unknown))}")
        if self.capacity < 1:
            raise ValueError(f"a subscription needs a capacity of 1 or more, not {self.capacity}")
        if self.max_bytes < MAX_PAYLOAD_BYTES:
            raise ValueError(
                f"a subscription needs room for the biggest event: max_bytes {self.max_bytes} is below "
                f"{MAX_PAYLOAD_BYTES}"
            )
