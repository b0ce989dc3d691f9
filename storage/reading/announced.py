"""Events as they were announced: pages of envelopes for a listener that begins in the past."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import StorageError
from altlas_agent.core.events import Envelope, unpack
from storage.reading import queries

if TYPE_CHECKING:
    import sqlite3

    from storage.reading.views import EventView


def events_page(connection: sqlite3.Connection, run_id: int, from_seq: int, *, limit: int) -> list[Envelope]:
    """The events of a run from `from_seq` on, in order, with the bytes that were announced.

    Raises StorageError for an event of a kind or a version that this AltLAS does not know.
    """
    stored = queries.events_page(connection, run_id, after=from_seq - 1, limit=limit)
    return [_envelope(view) for view in stored]


def _envelope(view: EventView) -> Envelope:
    try:
        event = unpack(view.payload)
    except msgspec.DecodeError as error:
        raise StorageError(f"event {view.seq} of run r{view.run_id} is of another AltLAS: {error}") from error
    return Envelope(
        run_id=view.run_id,
        seq=view.seq,
        monotonic_ns=view.monotonic_ns,
        wall_ns=view.wall_ns,
        cause_seq=view.cause_seq,
        event=event,
        payload=view.payload,
    )
