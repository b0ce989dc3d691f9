"""What people say about a run, and the signs of life of its process.

Each statement names a run and changes nothing when there is none: the count of rows says so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

RUNNING = "running"
DELETING = "deleting"
"""The status of a run whose rows are being taken away, piece by piece."""

TAG = r"\A[^\s,:\x00-\x1f\x7f-\x9f]{1,64}\Z"
"""What a tag looks like: a word that can be named in a list, and behind `tag:`."""

MAX_NOTE = 10_000
"""How many characters a note has at most."""

SET_NOTE = "UPDATE runs SET note = ?2 WHERE id = ?1"
TOUCH = "UPDATE runs SET id = id WHERE id = ?"
ADD_TAG = "INSERT INTO run_tags (run_id, tag) VALUES (?, ?) ON CONFLICT (run_id, tag) DO NOTHING"
REMOVE_TAG = "DELETE FROM run_tags WHERE run_id = ? AND tag = ?"
BEAT = f"UPDATE runs SET heartbeat_ns = ?2 WHERE id = ?1 AND status = '{RUNNING}'"
RESUME = (
    f"UPDATE runs SET status = '{RUNNING}', reason = '', ended_ns = NULL, pid = ?2, heartbeat_ns = ?3 "
    f"WHERE id = ?1 AND status NOT IN ('{RUNNING}', '{DELETING}')"
)


def set_note(connection: sqlite3.Connection, run_id: int, note: str) -> int:
    """Replace the note of a run; returns 0 when there is no such run."""
    return connection.execute(SET_NOTE, (run_id, note)).rowcount


def retag(connection: sqlite3.Connection, run_id: int, *, add: Sequence[str], remove: Sequence[str]) -> int:
    """Add and then remove tags; those that are there, or are not, already change nothing. 0: no such run."""
    if found := connection.execute(TOUCH, (run_id,)).rowcount:
        connection.executemany(ADD_TAG, [(run_id, tag) for tag in add])
        connection.executemany(REMOVE_TAG, [(run_id, tag) for tag in remove])
    return found


def resume(connection: sqlite3.Connection, run_id: int, *, pid: int, now_ns: int) -> int:
    """Say that a run that is over goes on in a process; returns 0 when it is not over, or not there."""
    return connection.execute(RESUME, (run_id, pid, now_ns)).rowcount
