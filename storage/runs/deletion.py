"""Takes a run away, a piece for each transaction: one big one would make everybody else wait.

A run that is being taken away says so, and whoever asks again goes on where a kill stopped it. Texts stay:
others may share them; `altlas db vacuum` drops those that nobody uses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage import fingerprints, search
from storage.runs.marks import DELETING, RUNNING

if TYPE_CHECKING:
    import sqlite3

PIECE = 1000
"""How many rows go in one transaction."""

MARK = f"UPDATE runs SET status = '{DELETING}', reason = '' WHERE id = ? AND status <> '{RUNNING}'"
UNFINISHED = f"SELECT id FROM runs WHERE status = '{DELETING}'"
DELETE_EVENTS = (
    "DELETE FROM events WHERE run_id = ?1 AND seq <= "
    "(SELECT seq FROM events WHERE run_id = ?1 ORDER BY seq LIMIT 1) + ?2"
)
DELETE_METRICS = (
    "DELETE FROM metrics WHERE run_id = ?1 AND (name, version) IN "
    "(SELECT name, version FROM metrics WHERE run_id = ?1 LIMIT ?2)"
)
LAST_OF_PIECE = (
    "SELECT max(number) FROM (SELECT number FROM attempts WHERE run_id = ?1 ORDER BY number LIMIT ?2)"
)
DELETE_ATTEMPTS = "DELETE FROM attempts WHERE run_id = ? AND number <= ?"
# The ids of the newest attempts are given again: whoever comes then has not been looked at.
MOVE_BACK = (
    "UPDATE positions SET position = min(position, coalesce((SELECT max(id) FROM attempts), 0)) "
    f"WHERE name IN ('{fingerprints.NAME}', '{search.NAME}')"
)
_SHORT = ("curves", "tallies", "checkpoints", "gaps", "run_tags", "exams", "tasks")
"""What is left then, in an order in which nothing points to what is gone."""

DELETE_RUN = "DELETE FROM runs WHERE id = ?"


def mark(connection: sqlite3.Connection, run_id: int) -> int:
    """Say that the run is being taken away; returns 0 when it is running, or not there."""
    return connection.execute(MARK, (run_id,)).rowcount


def unfinished(connection: sqlite3.Connection) -> list[int]:
    """Runs whose deletion was interrupted."""
    return [number for (number,) in connection.execute(UNFINISHED).fetchall()]


def delete_piece(connection: sqlite3.Connection, run_id: int) -> int:
    """Delete the next rows of a run that is marked, in the caller's transaction; 0 when that was the last."""
    for sql in (DELETE_EVENTS, DELETE_METRICS):
        if connection.execute(sql, (run_id, PIECE)).rowcount:
            return 1
    (last,) = connection.execute(LAST_OF_PIECE, (run_id, PIECE)).fetchone()
    if last is not None:
        search.forget(connection, run_id, last)
        fingerprints.forget(connection, run_id, last)
        connection.execute(DELETE_ATTEMPTS, (run_id, last))
        connection.execute(MOVE_BACK)
        return 1
    for table in _SHORT:
        connection.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
    connection.execute(DELETE_RUN, (run_id,))
    return 0
