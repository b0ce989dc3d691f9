"""Which SQLite this is, and whether it may damage a database: for `altlas doctor`.

The WAL-reset bug (sqlite.org/wal.html): two connections that write and checkpoint at the same instant can
damage the database. AltLAS writes and checkpoints on one connection only, so that it needs a foreign writer
to happen; but whoever looks after a machine should know.
"""

from __future__ import annotations

import sqlite3

from altlas_agent.core.records import Record

FIRST_AFFECTED = (3, 7, 0)
LAST_AFFECTED = (3, 51, 2)
REPAIRED = ((3, 44, 6), (3, 50, 7))
"""Repaired beside the main line; later patches of the same minor version hold the repair as well."""


class Engine(Record):
    """The library that reads and writes the database."""

    version: str
    has_wal_reset_bug: bool
    has_search: bool
    advice: str
    """What to do about it; empty when all is well."""


def engine() -> Engine:
    """The SQLite of this Python."""
    is_affected = has_wal_reset_bug(sqlite3.sqlite_version_info)
    has_search = _has_search()
    advice = [
        (
            f"SQLite {sqlite3.sqlite_version} has the WAL-reset bug: let no other program write the database "
            "while AltLAS runs, or install SQLite 3.51.3 or newer"
        )
    ] * is_affected
    if not has_search:
        advice.append("SQLite was built without FTS5, which searching programs needs: install another build")
    return Engine(
        version=sqlite3.sqlite_version,
        has_wal_reset_bug=is_affected,
        has_search=has_search,
        advice="; ".join(advice),
    )


def has_wal_reset_bug(version: tuple[int, int, int]) -> bool:
    """True for SQLite 3.7.0 to 3.51.2, but for 3.44.6 and 3.50.7 and the patches that follow them."""
    is_repaired = any(version[:2] == fixed[:2] and version >= fixed for fixed in REPAIRED)
    return FIRST_AFFECTED <= version <= LAST_AFFECTED and not is_repaired


def _has_search() -> bool:
    connection = sqlite3.connect(":memory:")
    try:
        options = {name for (name,) in connection.execute("PRAGMA compile_options")}
    finally:
        connection.close()
    return "ENABLE_FTS5" in options
