from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import (
    DatabaseDamagedError,
    Exit,
    NotFoundError,
    SchemaNewerError,
    StorageError,
)
from storage import database
from storage.database import SCHEMA, migrate, open_reader, open_writer
from storage.migrations.apply import FOLDER
from tests.builders import make_run_row, make_task, store_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NEXT = SCHEMA + 1
NEXT_REVISION = f"""
from alembic import op

revision = "{NEXT:04d}"
down_revision = "{SCHEMA:04d}"


def upgrade() -> None:
    op.execute("ALTER TABLE runs ADD COLUMN colour TEXT")
    op.execute("CREATE TABLE stones (id INTEGER PRIMARY KEY)")
    op.execute("UPDATE runs SET colour = 'red'")
"""

KILLED_MIGRATIONS = """
import json, os, pathlib, signal, sys
from sqlalchemy import Engine, event
from storage import tables
from storage.database import migrate
from storage.migrations import apply

executed = last = 0

@event.listens_for(Engine, "before_cursor_execute")
def count(connection, cursor, statement, *rest):
    global executed
    executed += 1
    if executed == last:
        os.kill(os.getpid(), signal.SIGKILL)

for line in sys.stdin:
    path, folder, number, last = json.loads(line)
    listening, telling = os.pipe()
    pid = os.fork()
    if pid == 0:
        migrate(pathlib.Path(path), number=number, folder=pathlib.Path(folder))
        os.write(telling, str(executed).encode())
        os._exit(0)
    os.close(telling)
    told = os.read(listening, 99).decode()
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), told]), flush=True)
"""
"""Migrates what each line names in a process of its own, which dies before its statement number `last`."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "altlas.db"


@pytest.fixture
def next_folder(tmp_path: Path) -> Path:
    """The migrations of a coming version, with one revision more."""
    folder = tmp_path / "migrations"
    shutil.copytree(FOLDER, folder)
    (folder / "versions" / f"r{NEXT:04d}_next.py").write_text(NEXT_REVISION)
    return folder


@pytest.fixture
def migrate_in_child() -> Iterator[Callable[..., tuple[int, str]]]:
    """Migrates in another process; answers how that ended, and how many statements it executed."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED_MIGRATIONS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:

        def migrate_one(path: Path, folder: Path, *, number: int, last: int) -> tuple[int, str]:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(json.dumps([str(path), str(folder), number, last]) + "\n")
            child.stdin.flush()
            code, statements = json.loads(child.stdout.readline())
            return code, statements

        yield migrate_one


def test_a_writer_makes_the_folder_and_the_tables(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "a %20#" / "b" / "altlas.db")) as connection:
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (0,)
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA,)


def test_a_writer_survives_power_cuts_and_never_checkpoints_inside_a_commit(path: Path) -> None:
    with closing(open_writer(path)) as connection:
        names = (
            "journal_mode",
            "synchronous",
            "mmap_size",
            "page_size",
            "wal_autocheckpoint",
            "foreign_keys",
        )
        values = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in names]
        assert values == ["wal", 2, 0, 4096, 0, 1]


def test_opening_again_migrates_nothing_and_imports_no_sqlalchemy(path: Path) -> None:
    open_writer(path).close()
    code = (
        "import sys, pathlib; from storage.database import open_writer; "
        "open_writer(pathlib.Path(sys.argv[1])).close(); "
        "assert not {'sqlalchemy', 'sqlmodel', 'alembic', 'pydantic'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=20)
    assert not list(path.parent.glob("*.bak*"))


def test_a_reader_cannot_write(path: Path) -> None:
    open_writer(path).close()
    with closing(open_reader(path)) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM runs")


def test_without_a_database_a_reader_says_how_to_get_one(path: Path) -> None:
    with pytest.raises(NotFoundError, match="no runs yet: altlas run start quickstart"):
        open_reader(path)
    assert not path.exists()
    assert not database.exists(path)


def test_a_database_that_was_begun_and_not_made_counts_as_none(path: Path) -> None:
    path.touch()
    with pytest.raises(NotFoundError):
        open_reader(path)
    open_writer(path).close()
    assert database.exists(path)


def test_a_newer_database_is_refused_by_both(path: Path) -> None:
    open_writer(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA + 1}")
    for opening in (open_writer, open_reader):
        with pytest.raises(SchemaNewerError, match="newer AltLAS") as caught:
            opening(path)
        assert caught.value.exit_code is Exit.DATABASE_DAMAGED


def test_a_database_of_another_program_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
    before = path.read_bytes()
    with pytest.raises(StorageError, match="another program"):
        open_writer(path)
    assert path.read_bytes() == before


def test_a_file_that_is_no_database_is_called_damaged(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to be taken for one" * 40)
    for opening in (open_writer, open_reader):
        with pytest.raises(DatabaseDamagedError, match=r"altlas\.db is damaged.*move it away"):
            opening(path)


def test_a_damaged_page_is_found_before_anything_is_written(path: Path) -> None:
    with closing(open_writer(path)) as connection:
        store_run(connection, make_run_row(), [make_task()])
    content = bytearray(path.read_bytes())
    content[4096:12288] = os.urandom(8192)
    path.write_bytes(content)
    path.with_name("altlas.db.bak-1").touch()
    with pytest.raises(DatabaseDamagedError, match=r"put the backup altlas\.db\.bak-1 in its place"):
        open_writer(path)
    assert path.read_bytes() == content


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(StorageError, match=f"cannot write in the folder {folder}"):
        open_writer(folder / "altlas.db")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match=r"file/home.*choose another --home") as caught:
        open_writer(tmp_path / "file" / "home" / "altlas.db")
    assert caught.value.exit_code is Exit.STORE_FAILED


def test_a_locked_database_is_a_clear_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.1)
    open_writer(path).close()
    with closing(open_writer(path)) as first, closing(open_writer(path)) as second:
        first.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as caught:
            second.execute("BEGIN IMMEDIATE")
    assert "another program has locked" in database.translate(caught.value, path).message


def test_an_older_database_is_backed_up_and_keeps_its_rows(path: Path, next_folder: Path) -> None:
    _fill(path)
    migrate(path, number=NEXT, folder=next_folder)
    assert _state(path) == (NEXT, {"first": "red"})
    assert _state(path.with_name(f"altlas.db.bak-{SCHEMA}")) == (SCHEMA, {"first": None})


def test_a_reader_leaves_an_older_database_to_the_next_run(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fill(path)
    monkeypatch.setattr(database, "SCHEMA", NEXT)
    with pytest.raises(StorageError, match=f"older schema {SCHEMA}"):
        open_reader(path)


def test_a_failing_migration_leaves_the_old_schema(path: Path, next_folder: Path) -> None:
    _fill(path)
    revision = next_folder / "versions" / f"r{NEXT:04d}_next.py"
    revision.write_text(NEXT_REVISION + '    raise RuntimeError("no")\n')
    with pytest.raises(RuntimeError, match="no"):
        migrate(path, number=NEXT, folder=next_folder)
    assert _state(path) == (SCHEMA, {"first": None})


def test_a_killed_migration_leaves_the_old_schema(
    path: Path, next_folder: Path, migrate_in_child: Callable[..., tuple[int, str]]
) -> None:
    _fill(path)
    ended, statements = migrate_in_child(path.with_name("other.db"), FOLDER, number=SCHEMA, last=0)
    assert ended == 0
    for last in (2, int(statements) // 2, int(statements)):
        new = path.with_name(f"new{last}.db")
        assert migrate_in_child(new, FOLDER, number=SCHEMA, last=last) == (-signal.SIGKILL, "")
        assert _state(new) == (0, {})
    for last in (3, 5, 6):
        assert migrate_in_child(path, next_folder, number=NEXT, last=last) == (-signal.SIGKILL, "")
        assert _state(path) == (SCHEMA, {"first": None})
    assert migrate_in_child(path, next_folder, number=NEXT, last=0)[0] == 0
    assert _state(path) == (NEXT, {"first": "red"})


def _fill(path: Path) -> None:
    with closing(open_writer(path)) as connection:
        store_run(connection, make_run_row("first"), [make_task()])


def _state(path: Path) -> tuple[int, dict[str, str | None]]:
    """The schema number, and the runs with the column that the next revision adds."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        number = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        }
        assert ("stones" in tables) == (number == NEXT)
        colour = "colour" if number == NEXT else "NULL"
        runs = dict(connection.execute(f"SELECT name, {colour} FROM runs")) if "runs" in tables else {}
        return number, runs
