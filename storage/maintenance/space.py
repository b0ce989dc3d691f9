"""Makes the file of a database as small as what it holds."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from altlas_agent.core.records import Record
from storage.database import naming, open_writer

if TYPE_CHECKING:
    from pathlib import Path


class Shrunk(Record):
    """The size of the file before and after, in bytes."""

    path: str
    bytes_before: int
    bytes_after: int


def vacuum(path: Path) -> Shrunk:
    """Write the database anew without its empty pages; for a moment there must be room for it twice.

    The caller holds the lock of the home. An older schema is migrated first. Raises StorageError, or
    DatabaseDamagedError.
    """
    before = path.stat().st_size
    with naming(path), closing(open_writer(path)) as connection:
        connection.execute("INSERT INTO program_search (program_search) VALUES ('optimize')")
        connection.execute("VACUUM")
        connection.execute("PRAGMA optimize")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Shrunk(path=str(path), bytes_before=before, bytes_after=path.stat().st_size)
