"""The number of the schema of a database file, whatever it is."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from storage.database import naming

if TYPE_CHECKING:
    from pathlib import Path


def schema_number(path: Path) -> int:
    """0 for a database of another program. Raises DatabaseDamagedError or StorageError."""
    uri = path.absolute().as_uri() + "?mode=ro"
    with naming(path), closing(sqlite3.connect(uri, uri=True)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])
