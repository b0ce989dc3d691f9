"""Opens the home's database: one writer that also migrates it, many readers that never wait.

The number of the schema is `PRAGMA user_version`, so that a reader needs nothing but `sqlite3`.
"""

from __future__ import annotations

import enum
import os
import sqlite3
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

from altlas_agent.core.errors import DatabaseDamagedError, NotFoundError, SchemaNewerError, StorageError

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

FILE_NAME = "altlas.db"
"""The database of a home."""

PAGE_BYTES = 4096

SCHEMA = 5
"""The number of the newest revision in `storage/migrations/versions`."""

BUSY_TIMEOUT_S = 30.0
"""How long a connection waits for a lock before it gives up."""


class Pause(enum.StrEnum):
    """What the writer waits for instead of failing."""

    DB_BUSY = "db_busy"
    DISK_FULL = "disk_full"


_WRITER_PRAGMAS = (
    # Before the first table only. A commit writes whole pages, and a few rows touch many of the indexes.
    f"PRAGMA page_size = {PAGE_BYTES}",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # an acknowledged row survives a power cut
    "PRAGMA mmap_size = 0",
    "PRAGMA cache_size = -32768",  # KiB; the pages of the indexes, of which every group touches many
    "PRAGMA wal_autocheckpoint = 0",  # the writer does it between groups, never inside a commit
    "PRAGMA foreign_keys = ON",
)


def open_writer(path: Path) -> sqlite3.Connection:
    """The connection that writes; the caller holds the lock of the home, so it is the only one.

    Makes the folder and the database, or migrates an older one. The connection may be handed to
    another thread, but only one thread may use it at a time.

    Raises SchemaNewerError, DatabaseDamagedError, or StorageError when the folder cannot be written.
    """
    _require_writable_folder(path)
    with naming(path):
        _bring_up_to_date(path)
        return _connect_writer(path)


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that can only read. Fetch a page completely and let go: an open statement pins the WAL.

    Raises NotFoundError when there is no database yet, SchemaNewerError, DatabaseDamagedError, or
    StorageError when it still has an older schema.
    """
    with naming(path):
        number = _read_number(path)
        if number == 0:
            raise NotFoundError("database", str(path), "there are no runs yet: altlas run start quickstart")
        _refuse_newer(path, number)
        if number < SCHEMA:
            raise StorageError(
                f"{path} has the older schema {number}; the next 'altlas run start' migrates it"
            )
        return _connect_reader(path)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Generator[None]:
    """Everything inside is committed when it ends, or nothing is."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:  # whatever it was, half a transaction must not stay; raised again
        with suppress(sqlite3.Error):  # some failures have rolled back already
            connection.execute("ROLLBACK")
        raise


def exists(path: Path) -> bool:
    """True when there is a database to read: somebody has started a run in this home."""
    with naming(path):
        return _read_number(path) > 0


def migrate(path: Path, *, number: int, folder: Path | None = None) -> None:
    """Back up a database that holds something, then bring it to schema `number` in one transaction."""
    from storage.migrations import apply  # the slow import, for the rare case

    old = _read_number(path)
    if old > 0:
        back_up(path, _backup_path(path, old))
    apply.upgrade(lambda: _connect_writer(path), number=number, folder=folder or apply.FOLDER)


def back_up(path: Path, target: Path) -> None:
    """Copy a database that may be in use. `target` is complete or absent, whenever this is killed."""
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    with closing(_connect_reader(path)) as source, closing(sqlite3.connect(part)) as copy:
        source.backup(copy)
        copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a WAL beside it when it is read
    sync(part)
    part.replace(target)
    sync(target.parent)


def verdict(path: Path) -> str:
    """What SQLite's quick check says of the pages of a file: "ok", or the first thing that is wrong."""
    with closing(_connect_reader(path)) as connection:
        return str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])


def pause_of(error: sqlite3.Error) -> Pause | None:
    """What to wait for, if it is something that passes."""
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_SHMSIZE:
        return Pause.DISK_FULL  # the index of the WAL could not grow
    match _primary_code(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Pause.DB_BUSY
        case sqlite3.SQLITE_FULL:
            return Pause.DISK_FULL
        case _:
            return None


def translate(error: sqlite3.Error, path: Path) -> StorageError:
    """The error of ours that says what `error` means for the database at `path`."""
    primary = _primary_code(error)
    if primary in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR}:
        return _damaged(path, str(error))
    if primary == sqlite3.SQLITE_FULL:
        return StorageError(f"no room to write {path}: free some space and start again ({error})")
    if primary in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
        return StorageError(f"another program has locked {path}: close it and start again ({error})")
    if primary in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}:
        return StorageError(
            f"cannot open or write {path}: check the permissions of it and its folder ({error})"
        )
    return StorageError(f"{path}: {error}")


def _primary_code(error: sqlite3.Error) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else None


def _bring_up_to_date(path: Path) -> None:
    number = _read_number(path)
    _refuse_newer(path, number)
    _refuse_foreign(path, number)
    _refuse_damaged(path)
    if number < SCHEMA:
        migrate(path, number=SCHEMA)


def _read_number(path: Path) -> int:
    if not path.is_file():
        return 0
    with closing(_connect_reader(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _refuse_newer(path: Path, number: int) -> None:
    if number > SCHEMA:
        raise SchemaNewerError(
            f"{path} has schema {number}, this AltLAS knows {SCHEMA}: it was written by a newer AltLAS; "
            "install that one, or use another --home"
        )


def _refuse_foreign(path: Path, number: int) -> None:
    if number > 0 or not path.is_file():
        return
    with closing(_connect_reader(path)) as connection:
        if connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone():
            raise StorageError(
                f"{path} is a database of another program; move it away, or use another --home"
            )


def _refuse_damaged(path: Path) -> None:
    if not path.is_file():
        return
    if (found := verdict(path)) != "ok":
        raise _damaged(path, found)


def _damaged(path: Path, detail: str) -> DatabaseDamagedError:
    backups = sorted(
        backup.name for backup in path.parent.glob(path.name + ".bak-*") if backup.suffix != ".part"
    )
    remedy = f"put the backup {backups[-1]} in its place" if backups else "move it away"
    return DatabaseDamagedError(
        f"{path} is damaged or unreadable ({detail}); nothing was written; {remedy}, "
        "or save what can be read: altlas db recover"
    )


def _require_writable_folder(path: Path) -> None:
    folder = path.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(
            f"cannot make the folder {folder}: {error.strerror}; choose another --home"
        ) from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StorageError(f"cannot write in the folder {folder}; choose another --home")


def _connect_writer(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    try:
        for pragma in _WRITER_PRAGMAS:
            connection.execute(pragma)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _connect_reader(path: Path) -> sqlite3.Connection:
    uri = path.absolute().as_uri() + "?mode=ro"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)
    connection.execute("PRAGMA mmap_size = 0")
    return connection


def _backup_path(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.bak-{number}")


def sync(path: Path) -> None:
    """Make a file's content, or a folder's entries, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def naming(path: Path) -> Generator[None]:
    """What SQLite raises inside becomes the error of ours that says what it means for `path`."""
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error
