"""Makes the file of a database as small as what it holds."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from altlas_agent.core.records import Record
from storage.bodies import hashes
from storage.database import naming, open_writer, transaction
from storage.runs import deletion

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

_PAGE = 20_000
"""How many texts are looked at in one transaction: what they change goes through the WAL."""

_TEXT_COLUMNS = ("code_id", "stdout_id", "stderr_id", "violations_id", "feedback_id", "strategy_id")
_USE = (
    "INSERT INTO used_bodies (id) SELECT {0} FROM attempts WHERE {0} IS NOT NULL ON CONFLICT (id) DO NOTHING"
)
_DROP = "DELETE FROM bodies WHERE id > ? AND id <= ? AND id NOT IN (SELECT id FROM used_bodies)"


# The ids of the newest texts are given again: whoever comes then has not been looked at.
_MOVE_BACK = (
    "UPDATE positions SET position = min(position, coalesce((SELECT max(id) FROM bodies), 0)) WHERE name = ?"
)


class Shrunk(Record):
    """The size of the file before and after, in bytes, and how many texts nobody used."""

    path: str
    bytes_before: int
    bytes_after: int
    texts_dropped: int


def vacuum(path: Path) -> Shrunk:
    """Drop what nobody uses and write the database anew; for a moment there must be room for it twice.

    Deletions of runs that were interrupted are finished. The caller holds the lock of the home. An older
    schema is migrated first. Raises StorageError, or DatabaseDamagedError.
    """
    before = path.stat().st_size
    with naming(path), closing(open_writer(path)) as connection:
        for run_id in deletion.unfinished(connection):
            _finish(connection, run_id)
        dropped = drop_unused_texts(connection)
        connection.execute("INSERT INTO program_search (program_search) VALUES ('optimize')")
        connection.execute("VACUUM")
        connection.execute("PRAGMA optimize")
        _copy_back(connection)
    return Shrunk(path=str(path), bytes_before=before, bytes_after=path.stat().st_size, texts_dropped=dropped)


def drop_unused_texts(connection: sqlite3.Connection) -> int:
    """Delete the texts that no attempt has, while nobody else writes; returns how many.

    Dictionaries stay, whoever uses them: without them nothing can be read.
    """
    connection.execute("CREATE TEMP TABLE used_bodies (id INTEGER PRIMARY KEY)")
    for column in _TEXT_COLUMNS:
        connection.execute(_USE.format(column))
    last = connection.execute("SELECT max(id) FROM bodies").fetchone()[0] or 0
    dropped = 0
    for first in range(0, last, _PAGE):
        with transaction(connection):
            dropped += connection.execute(_DROP, (first, first + _PAGE)).rowcount
        _copy_back(connection)
    connection.execute("DROP TABLE temp.used_bodies")
    with transaction(connection):
        connection.execute("DELETE FROM body_hashes WHERE body_id NOT IN (SELECT id FROM bodies)")
        connection.execute(_MOVE_BACK, (hashes.NAME,))
    return dropped


def _finish(connection: sqlite3.Connection, run_id: int) -> None:
    is_left = True
    while is_left:
        with transaction(connection):
            is_left = bool(deletion.delete_piece(connection, run_id))
        _copy_back(connection)


def _copy_back(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
