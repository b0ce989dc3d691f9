"""Brings a database to a revision: every step and the new number in one transaction.

This is the only way to alembic, and it is imported only when there is something to migrate.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from alembic import command
from alembic.config import Config
from sqlalchemy import NullPool, create_engine, event

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from sqlalchemy import Connection

FOLDER = Path(__file__).parent


def upgrade(connect: Callable[[], sqlite3.Connection], *, number: int, folder: Path = FOLDER) -> None:
    """Apply the revisions up to `number` (revision "0001" is 1) and set `PRAGMA user_version` to it.

    `connect` opens the database with `isolation_level=None`. A kill at any moment leaves the old
    schema or the new one. A second caller at the same time waits, and then finds nothing to do.
    """
    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)
    # The driver opens no transaction for schema changes, and a deferred one could lose the race for the lock.
    event.listen(engine, "begin", _begin_immediate)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        config.attributes["connection"] = connection
        command.upgrade(config, f"{number:04d}")
        connection.exec_driver_sql(f"PRAGMA user_version = {number}")


def _begin_immediate(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")
