"""Which programs were attempted before: an index of fingerprints that follows the attempts a moment behind.

Fingerprints come in no order, so that each would touch a page of its own in every commit. Here they come in
larger lots, when nobody waits; whoever asks looks at the newest attempts themselves as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

POSITION_NAME = "fingerprints"

POSITION = f"SELECT position FROM positions WHERE name = '{POSITION_NAME}'"
MOVE = (
    f"INSERT INTO positions (name, position) VALUES ('{POSITION_NAME}', ?) "
    "ON CONFLICT (name) DO UPDATE SET position = excluded.position"
)
LAST_ATTEMPT = "SELECT max(id) FROM attempts"
FOLLOW = (
    "INSERT INTO fingerprints (fingerprint, attempt_id) SELECT fingerprint, id FROM attempts "
    "WHERE id > ? AND id <= ?"
)
KNOWN = (
    "SELECT EXISTS (SELECT 1 FROM fingerprints WHERE fingerprint = ?1) "
    f"OR EXISTS (SELECT 1 FROM attempts WHERE id > coalesce(({POSITION}), 0) AND fingerprint = ?1)"
)
FORGET = (
    "DELETE FROM fingerprints WHERE (fingerprint, attempt_id) IN "
    "(SELECT fingerprint, id FROM attempts WHERE run_id = ? AND number <= ?)"
)


def follow(connection: sqlite3.Connection, *, limit: int) -> bool:
    """Take in the next `limit` attempts, in the caller's transaction; True when there are more."""
    begin = (connection.execute(POSITION).fetchone() or (0,))[0]
    last = connection.execute(LAST_ATTEMPT).fetchone()[0] or 0
    end = min(begin + limit, last)
    if begin < last:
        connection.execute(FOLLOW, (begin, end))
        connection.execute(MOVE, (end,))
    return end < last


def forget(connection: sqlite3.Connection, run_id: int, last: int) -> None:
    """Take attempts of a run up to number `last` out, before they are deleted."""
    connection.execute(FORGET, (run_id, last))
