"""From an event to its envelope: its bytes, once for all who listen, and its number; the unsound stops here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import EventRefused
from altlas_agent.core.events import EVENT_TYPES, AnyEvent, Envelope, unpack

if TYPE_CHECKING:
    from altlas_agent.core.clock import Clock

MAX_PAYLOAD_BYTES = 256 * 1024
"""What an event may weigh. Anything bigger goes to the store, and the event names it by its hash."""

_encoder = msgspec.msgpack.Encoder()


def pack(event: AnyEvent) -> bytes:
    """The event as msgpack.

    Raises EventRefused for what is no event, for a field of a wrong type, and above MAX_PAYLOAD_BYTES.
    """
    kind = type(event)
    if kind not in EVENT_TYPES:
        raise EventRefused(kind.__name__, "it is not an event; core/events.py lists them")
    try:
        payload = _encoder.encode(event)
        unpack(payload)  # a constructor looks at no types: a wrong one must not be found by the subscribers
    except (msgspec.MsgspecError, TypeError, ValueError) as error:
        raise EventRefused(kind.__name__, f"it cannot be read back: {error}") from error
    if len(payload) > MAX_PAYLOAD_BYTES:
        what = f"it takes {len(payload)} bytes and {MAX_PAYLOAD_BYTES} are allowed; store it, name its hash"
        raise EventRefused(kind.__name__, what)
    return payload


class Numbers:
    """The count of one run's events, and the envelopes that carry it. Durable ones go on after `seq`."""

    def __init__(self, run_id: int, clock: Clock, seq: int) -> None:
        self.seq = seq
        self.ephemeral_seq = 0
        self._run_id = run_id
        self._clock = clock

    def envelope(self, event: AnyEvent, payload: bytes, cause_seq: int | None) -> Envelope:
        """The event under the next number. Raises EventRefused for a cause that has not happened."""
        if cause_seq is not None and not 0 <= cause_seq <= self.seq:
            raise EventRefused(type(event).__name__, f"its cause {cause_seq} has not happened")
        if event.durable:
            self.seq += 1
        else:
            self.ephemeral_seq += 1
        return Envelope(
            run_id=self._run_id,
            seq=self.seq,
            monotonic_ns=self._clock.monotonic_ns(),
            wall_ns=self._clock.wall_ns(),
            cause_seq=cause_seq,
            event=event,
            ephemeral_seq=0 if event.durable else self.ephemeral_seq,
            payload=payload,
        )
