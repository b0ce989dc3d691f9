"""Events as they were announced: pages of envelopes for a listener that begins in the past."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import StorageError
from altlas_agent.core.events import Envelope, unpack

if TYPE_CHECKING:
    import sqlite3

EVENTS_FROM = (
    "SELECT seq, monotonic_ns, wall_ns, cause_seq, payload FROM events "
    "WHERE run_id = ? AND seq >= ? ORDER BY seq LIMIT ?"
)

_Row = tuple[int, int, int, int | None, bytes]


def events_page(connection: sqlite3.Connection, run_id: int, from_seq: int, *, limit: int) -> list[Envelope]:
    """The events of a run from `from_seq` on, in order, with the bytes that were announced.

    Raises StorageError for an event of a kind or a version that this AltLAS does not know.
    """
    rows: list[_Row] = connection.execute(EVENTS_FROM, (run_id, from_seq, limit)).fetchall()
    return [_envelope(run_id, row) for row in rows]


def _envelope(run_id: int, row: _Row) -> Envelope:
    seq, monotonic_ns, wall_ns, cause_seq, payload = row
    try:
        event = unpack(payload)
    except msgspec.DecodeError as error:
        raise StorageError(f"event {seq} of run r{run_id} is of another AltLAS: {error}") from error
    return Envelope(
        run_id=run_id,
        seq=seq,
        monotonic_ns=monotonic_ns,
        wall_ns=wall_ns,
        cause_seq=cause_seq,
        event=event,
        payload=payload,
    )
