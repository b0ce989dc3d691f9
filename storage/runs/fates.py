"""What became of the group of an attempt: learned from, or dropped, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.records import Record
from storage.reading import queries

if TYPE_CHECKING:
    import sqlite3

TASK_SPEC = "SELECT spec_json FROM tasks WHERE run_id = ? AND key = ?"
TOLD_FROM = (
    "SELECT seq, attempt FROM events WHERE run_id = ? AND seq >= ? AND attempt IS NOT NULL "
    "ORDER BY seq LIMIT 1"
)
UPDATED_AFTER = (
    "SELECT seq, payload FROM events WHERE run_id = ? AND seq > ? AND type = 'PolicyUpdated' "
    "ORDER BY seq LIMIT 1"
)
DROPPED_BETWEEN = "SELECT payload FROM events WHERE run_id = ? AND seq > ? AND seq < ? AND type = 'GroupDropped' ORDER BY seq"


class Fate(Record):
    """What a step of the student made of a group; `version` is the policy that came of it.

    `dropped` says why the group taught nothing, "" when it was compared.
    """

    group: int
    version: int
    dropped: str = ""


class _Updated(msgspec.Struct):
    version: int


class _Dropped(msgspec.Struct):
    group: int
    reason: str


def fate_of(connection: sqlite3.Connection, run_id: int, number: int, group: int) -> Fate | None:
    """None while nothing was learned from the attempt's group, and where its event is not to be found."""
    seq = _seq_of(connection, run_id, number)
    if seq is None:
        return None
    updated = connection.execute(UPDATED_AFTER, (run_id, seq)).fetchone()
    if updated is None:
        return None
    version = msgspec.msgpack.decode(updated[1], type=_Updated).version
    for (payload,) in connection.execute(DROPPED_BETWEEN, (run_id, seq, updated[0])).fetchall():
        dropped = msgspec.msgpack.decode(payload, type=_Dropped)
        if dropped.group == group:
            return Fate(group=group, version=version, dropped=dropped.reason)
    return Fate(group=group, version=version)


def task_spec(connection: sqlite3.Connection, run_id: int, key: str) -> str | None:
    """The whole record of a task of a run as JSON text; None when the run has no such task."""
    row = connection.execute(TASK_SPEC, (run_id, key)).fetchone()
    return None if row is None else str(row[0])


def _seq_of(connection: sqlite3.Connection, run_id: int, number: int) -> int | None:
    """The event that told of an attempt. They are told in the order of their numbers, so halving finds it."""
    low, high = 1, queries.last_seq(connection, run_id) + 1
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(TOLD_FROM, (run_id, middle)).fetchone()
        if row is None or row[1] >= number:
            high = middle
        else:
            low = row[0] + 1
    row = connection.execute(TOLD_FROM, (run_id, low)).fetchone()
    return int(row[0]) if row is not None and row[1] == number else None
