"""Saves what can be read of a damaged database into a new one, and says what was lost.

The caller holds the lock of the home. The damaged file is kept beside the new one; a kill at any moment
leaves the damaged database or the new one in its place.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from altlas_agent.core.errors import DatabaseDamagedError
from altlas_agent.core.records import Record
from storage.bodies.codec import Packer, hash_of
from storage.bodies.shelf import INSERT_BODY
from storage.database import PAGE_BYTES, SCHEMA, sync, transaction
from storage.maintenance.repair import NARROW, repair
from storage.maintenance.salvage import Table, describe, rows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_FIRST = ("runs", "labels", "reward_schemas", "dictionaries", "bodies", "tasks", "attempts")
_MADE_AGAIN = {
    "alembic_version",
    "curves",
    "tallies",
    "positions",
    "body_hashes",
    "fingerprints",
    "searched_bodies",
}
WELL_KNOWN = ("", "[]")
NUMBER_OF_TEXT = "SELECT body_id FROM body_hashes WHERE hash = ?"
_REWRITE = f"{INSERT_BODY} ON CONFLICT (id) DO NOTHING"
_KNOWN_RUNS = "SELECT id FROM runs UNION SELECT run_id FROM tasks UNION SELECT run_id FROM attempts"
_SIDES = ("-wal", "-shm")


class Saved(Record):
    """What became of a table. `holes` are places where rows could not be read."""

    table: str
    kept: int
    holes: int
    refused: int
    """Rows that were read and cannot be right."""


class Recovery(Record):
    """What `recover` did. `losses` says in words what is gone."""

    path: str
    damaged: str
    """Where the damaged file lies now."""
    schema: int
    tables: tuple[Saved, ...]
    losses: tuple[str, ...]


def recover(path: Path) -> Recovery:
    """Put a new database in place of the damaged one.

    Raises DatabaseDamagedError when not even its list of tables can be read: then nothing was changed.
    """
    part = path.with_name(path.name + ".recovering")
    _remove(part)
    with closing(_open_damaged(path)) as source:
        number = _schema_of(source, path)
        with closing(_make(part, number)) as target:
            with transaction(target):
                saved = tuple(_save(source, target, name) for name in _tables(target))
                if number >= NARROW:
                    _write_again(source, target)
                losses = (
                    *_unreadable(saved),
                    *(repair(target) if number >= NARROW else _drop_orphans(target)),
                )
            target.execute("PRAGMA journal_mode = DELETE")  # one file, without a WAL beside it
    sync(part)
    damaged = _swap(path, part)
    return Recovery(path=str(path), damaged=str(damaged), schema=number, tables=saved, losses=losses)


def _unreadable(saved: Iterable[Saved]) -> Iterator[str]:
    for each in saved:
        if each.holes or each.refused:
            yield f"rows of {each.table}: {each.holes} places cannot be read, {each.refused} rows cannot be right"


def _open_damaged(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True, isolation_level=None)
    # The first opens a file that is shorter than it says, and one whose list of tables is damaged in part.
    for pragma in ("writable_schema = ON", "cell_size_check = ON", "mmap_size = 0"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _schema_of(source: sqlite3.Connection, path: Path) -> int:
    try:
        number = int(source.execute("PRAGMA user_version").fetchone()[0])
        source.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.DatabaseError as error:
        raise DatabaseDamagedError(
            f"nothing can be read of {path} ({error}); put a backup in its place, or move it away"
        ) from error
    if not 1 <= number <= SCHEMA:
        raise DatabaseDamagedError(f"{path} claims to have schema {number}; put a backup in its place")
    return number


def _make(part: Path, number: int) -> sqlite3.Connection:
    """An empty database of this schema, for one big transaction."""
    from storage.migrations import apply  # the slow import, for the rare case

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(part, isolation_level=None)
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        return connection

    apply.upgrade(connect, number=number)
    return connect()


def _tables(target: sqlite3.Connection) -> list[str]:
    """Those to fill, what others point to first."""
    sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    names = {name for (name,) in target.execute(sql) if not name.startswith("program_search")} - _MADE_AGAIN
    return [name for name in _FIRST if name in names] + sorted(names - {*_FIRST})


def _save(source: sqlite3.Connection, target: sqlite3.Connection, name: str) -> Saved:
    table = describe(target, name)
    runs = [number for (number,) in target.execute(_KNOWN_RUNS)]
    places = ", ".join("?" * len(table.columns))
    columns = ", ".join(f'"{column}"' for column in table.columns)
    insert = f'INSERT INTO "{name}" ({columns}) VALUES ({places})'
    kept = holes = refused = 0
    for row in _readable(source, table, runs):
        if row is None:
            holes += 1
        elif table.is_sound(row) and _is_inserted(target, insert, row):
            kept += 1
        else:
            refused += 1
    return Saved(table=name, kept=kept, holes=holes, refused=refused)


def _readable(
    source: sqlite3.Connection, table: Table, runs: list[int]
) -> Iterator[tuple[object, ...] | None]:
    try:
        yield from rows(source, table, runs)
    except sqlite3.DatabaseError:  # not even the head of the table
        yield None


def _is_inserted(target: sqlite3.Connection, insert: str, row: tuple[object, ...]) -> bool:
    try:
        target.execute(insert, row)
    except (sqlite3.IntegrityError, OverflowError):
        return False
    return True


def _write_again(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Texts that most attempts share are known: their numbers may stand in the index still."""
    for text in WELL_KNOWN:
        row = (hash_of(text.encode()), *Packer().pack(text.encode()))
        with suppress(sqlite3.DatabaseError):
            for (number,) in source.execute(NUMBER_OF_TEXT, row[:1]).fetchall():
                target.execute(_REWRITE, (number, *row))


def _drop_orphans(target: sqlite3.Connection) -> Iterator[str]:
    """For a schema before NARROW: rows whose run or task is gone."""
    tables = {table for table, *_ in target.execute("PRAGMA foreign_key_check")}
    for table in sorted(tables):
        gone = target.execute(f'DELETE FROM "{table}" WHERE run_id NOT IN (SELECT id FROM runs)').rowcount
        if table == "attempts":
            gone += target.execute(
                "DELETE FROM attempts WHERE task_id NOT IN (SELECT id FROM tasks)"
            ).rowcount
        yield f"{gone} rows of {table}, whose run or task is lost"


def _swap(path: Path, part: Path) -> Path:
    """The damaged file keeps a name of its own; a WAL of it must not be taken for one of the new file."""
    damaged = _free_name(path)
    os.link(path, damaged)
    for side in _SIDES:
        file = path.with_name(path.name + side)
        if file.exists():
            file.replace(damaged.with_name(damaged.name + side))
    part.replace(path)
    sync(path.parent)
    return damaged


def _free_name(path: Path) -> Path:
    number = 1
    while path.with_name(f"{path.name}.damaged-{number}").exists():
        number += 1
    return path.with_name(f"{path.name}.damaged-{number}")


def _remove(part: Path) -> None:
    for side in ("", *_SIDES):
        part.with_name(part.name + side).unlink(missing_ok=True)
