"""How far work has come that follows what is stored a moment behind, in lots, when nobody waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3

POSITION = "SELECT position FROM positions WHERE name = ?"
MOVE = (
    "INSERT INTO positions (name, position) VALUES (?, ?) "
    "ON CONFLICT (name) DO UPDATE SET position = excluded.position"
)


class Lot(NamedTuple):
    """Rows with ids above `begin`, up to `end`. `has_more` follow."""

    begin: int
    end: int
    has_more: bool


def position(connection: sqlite3.Connection, name: str) -> int:
    """The id of the last row that was looked at."""
    found = connection.execute(POSITION, (name,)).fetchone()
    return int(found[0]) if found else 0


def next_lot(connection: sqlite3.Connection, name: str, last_id: str, *, limit: int) -> Lot:
    """Move on by at most `limit` ids, in the caller's transaction; `last_id` is the SQL that tells the last id."""
    begin = position(connection, name)
    last = int(connection.execute(last_id).fetchone()[0] or 0)
    end = max(begin, min(begin + limit, last))
    if end > begin:
        connection.execute(MOVE, (name, end))
    return Lot(begin, end, end < last)
