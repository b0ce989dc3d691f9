"""The database of a home, opened for reading."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.daemon.home import resolve_home
from storage.database import FILE_NAME, exists, open_reader

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

NO_RUNS = "no runs yet: altlas run start quickstart"


def open_home(home: str | None) -> sqlite3.Connection:
    """A reading connection to the database of a home, given as --home gives it."""
    return open_reader(database(home))


def has_runs(home: str | None) -> bool:
    """False when nothing was ever run in this home: a list is empty then, not an error."""
    return exists(database(home))


def database(home: str | None) -> Path:
    """Where the database of a home lies, whether there is one or not."""
    return resolve_home(home) / FILE_NAME
