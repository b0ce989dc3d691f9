"""Events by their kind, from a cursor on or the last ones, as JSON: whatever AltLAS announced them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.records import Record
from storage.reading import queries

if TYPE_CHECKING:
    import sqlite3

    from storage.reading.views import EventView

_WANTED = "(:all OR type IN (SELECT value FROM json_each(:types))) AND type NOT IN (SELECT value FROM json_each(:but))"
NEXT_SEQS = (
    f"SELECT seq FROM events WHERE run_id = :run AND seq > :after AND {_WANTED} ORDER BY seq LIMIT :limit"
)
LAST_SEQS = f"SELECT seq FROM events WHERE run_id = :run AND {_WANTED} ORDER BY seq DESC LIMIT :limit"


_PAGE = 500


class EventFilter(Record):
    """Which events of one run: of these `types`, or of all but some. Version 2 of a type is another type."""

    run_id: int
    types: tuple[str, ...] = ()
    but: tuple[str, ...] = ()


class EventLine(Record):
    """One event. `event` is what was announced, with `null` for numbers that are not finite."""

    run_id: int
    seq: int
    type: str
    wall_ns: int
    monotonic_ns: int
    cause_seq: int | None
    event: msgspec.Raw


def next_events(
    connection: sqlite3.Connection, which: EventFilter, *, after: int = 0, limit: int = 50
) -> list[EventLine]:
    """Events behind the cursor `after`, in order; all of them if `limit` is 0.

    Raises DatabaseDamagedError when what one is made of cannot be read.
    """
    if not which.types and not which.but and limit:
        return [
            _line(view) for view in queries.events_page(connection, which.run_id, after=after, limit=limit)
        ]
    parameters = {**_parameters(which), "after": after, "limit": limit or -1}
    return _lines(connection, which, [seq for (seq,) in connection.execute(NEXT_SEQS, parameters).fetchall()])


def last_events(connection: sqlite3.Connection, which: EventFilter, *, limit: int) -> list[EventLine]:
    """The last events, in order. Raises as `next_events`."""
    parameters = {**_parameters(which), "limit": limit}
    found = connection.execute(LAST_SEQS, parameters).fetchall()
    return _lines(connection, which, [seq for (seq,) in reversed(found)])


def _lines(connection: sqlite3.Connection, which: EventFilter, seqs: list[int]) -> list[EventLine]:
    pages = (seqs[first : first + _PAGE] for first in range(0, len(seqs), _PAGE))
    return [_line(view) for page in pages for view in queries.events_at(connection, which.run_id, page)]


def _line(view: EventView) -> EventLine:
    return EventLine(
        run_id=view.run_id,
        seq=view.seq,
        type=view.type,
        wall_ns=view.wall_ns,
        monotonic_ns=view.monotonic_ns,
        cause_seq=view.cause_seq,
        event=msgspec.Raw(msgspec.json.encode(msgspec.msgpack.decode(view.payload))),
    )


def _parameters(which: EventFilter) -> dict[str, int | str]:
    return {
        "run": which.run_id,
        "all": not which.types,
        "types": json.dumps(which.types),
        "but": json.dumps(which.but),
    }
