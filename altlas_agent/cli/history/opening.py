"""The database of a home, opened for reading."""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from altlas_agent.daemon.home import resolve_home
from storage.database import FILE_NAME, exists, naming, open_reader

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator
    from pathlib import Path

NO_RUNS = "no runs yet: altlas run start quickstart"


@contextmanager
def reading(home: str | None) -> Generator[sqlite3.Connection]:
    """A reading connection to the database of a home, given as --home gives it.

    Raises as `storage.database.open_reader`, and DatabaseDamagedError or StorageError when reading fails.
    """
    path = database(home)
    with naming(path), closing(open_reader(path)) as connection:
        yield connection


def has_runs(home: str | None) -> bool:
    """False when nothing was ever run in this home: a list is empty then, not an error."""
    return exists(database(home))


def database(home: str | None) -> Path:
    """Where the database of a home lies, whether there is one or not."""
    return resolve_home(home) / FILE_NAME
