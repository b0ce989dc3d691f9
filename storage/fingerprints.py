"""Which programs were attempted before: an index of fingerprints that follows the attempts a moment behind.

Fingerprints come in no order, so that each would touch a page of its own in every commit. Here they come in
larger lots, when nobody waits; whoever asks looks at the newest attempts themselves as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.positions import next_lot

if TYPE_CHECKING:
    import sqlite3

NAME = "fingerprints"
"""Of the position."""

LAST_ATTEMPT = "SELECT max(id) FROM attempts"
FOLLOW = (
    "INSERT INTO fingerprints (fingerprint, attempt_id) SELECT fingerprint, id FROM attempts "
    "WHERE id > ? AND id <= ?"
)
KNOWN = (
    "SELECT EXISTS (SELECT 1 FROM fingerprints WHERE fingerprint = ?1) "
    "OR EXISTS (SELECT 1 FROM attempts WHERE fingerprint = ?1 AND id > "
    f"coalesce((SELECT position FROM positions WHERE name = '{NAME}'), 0))"
)
FORGET = (
    "DELETE FROM fingerprints WHERE (fingerprint, attempt_id) IN "
    "(SELECT fingerprint, id FROM attempts WHERE run_id = ? AND number <= ?)"
)


def follow(connection: sqlite3.Connection, *, limit: int) -> bool:
    """Take in the next `limit` attempts, in the caller's transaction; True when there are more."""
    lot = next_lot(connection, NAME, LAST_ATTEMPT, limit=limit)
    if lot.end > lot.begin:
        connection.execute(FOLLOW, lot[:2])
    return lot.has_more


def forget(connection: sqlite3.Connection, run_id: int, last: int) -> None:
    """Take attempts of a run up to number `last` out, before they are deleted."""
    connection.execute(FORGET, (run_id, last))
