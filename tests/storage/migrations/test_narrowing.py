"""What was stored by an older AltLAS is there afterwards, to the byte, whenever the migration was killed."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import struct
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.errors import SchemaNewerError
from altlas_agent.core.records import Fault, ToolFeedback
from storage.database import SCHEMA, open_reader, open_writer
from storage.maintenance.check import check
from storage.reading import queries
from storage.rows import Rows, attempt_row
from tests.builders import NOW_NS, make_judged, make_run_row, make_task, store, store_run
from tests.storage.migrations.old import announced, make_old

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from altlas_agent.core.records import Judged
    from storage.reading.views import AttemptView

KILLS = int(os.environ.get("ALTLAS_MIGRATION_KILLS", "12"))
"""At how many places a migration is killed."""

KILLED = """
import json, os, pathlib, signal, sqlite3, sys
from storage import database, tables
from storage.migrations import apply

executed, last, connect = 0, 0, database._connect_writer

def counting(path):
    connection = connect(path)
    connection.set_trace_callback(count)
    return connection

def count(statement):
    global executed
    executed += 1
    if executed == last:
        os.kill(os.getpid(), signal.SIGKILL)

database._connect_writer = counting
for line in sys.stdin:
    path, last = json.loads(line)
    listening, telling = os.pipe()
    pid = os.fork()
    if pid == 0:
        database.migrate(pathlib.Path(path), number=database.SCHEMA)
        os.write(telling, str(executed).encode())
        os._exit(0)
    os.close(telling)
    told = os.read(listening, 99).decode()
    os.close(listening)
    print(json.dumps([os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), told]), flush=True)
"""
"""Migrates what each line names in a process of its own, which is killed at its statement number `last`."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "altlas.db"


@pytest.fixture
def migrate_in_child() -> Iterator[Callable[[Path, int], tuple[int, str]]]:
    """Migrates in another process; answers how that ended, and how many statements it executed."""
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:

        def migrate(path: Path, last: int) -> tuple[int, str]:
            assert child.stdin is not None
            assert child.stdout is not None
            child.stdin.write(json.dumps([str(path), last]) + "\n")
            child.stdin.flush()
            code, statements = json.loads(child.stdout.readline())
            return code, statements

        yield migrate


@pytest.mark.parametrize("number", [1, 2])
def test_attempts_read_the_same_as_if_they_were_stored_today(path: Path, number: int) -> None:
    attempts = _attempts(120)
    make_old(path, number, attempts)
    open_writer(path).close()
    today = _stored_today(path.with_name("today.db"), attempts)
    for judged in attempts:
        old, new = _view(path, judged.attempt.number), _view(today, judged.attempt.number)
        if number == 1:
            new = msgspec.structs.replace(new, feedback=None)
        assert old == new


def test_events_of_schema_2_read_as_they_were_announced_and_share_the_texts_of_attempts(path: Path) -> None:
    attempts = _attempts(120)
    make_old(path, 2, attempts)
    open_writer(path).close()
    with closing(open_reader(path)) as connection:
        found = queries.events_page(connection, 1, limit=500)
        (whole,) = connection.execute("SELECT count(*) FROM events WHERE attempt IS NULL").fetchone()
    assert [event.payload for event in found] == [announced(each) for each in attempts]
    assert whole == 1, "the one whose log-probabilities float32 had rounded"


@pytest.mark.parametrize("number", [1, 2])
def test_everything_else_is_there_and_the_sums_are_right(path: Path, number: int) -> None:
    make_old(path, number, _attempts(120))
    open_writer(path).close()
    with closing(open_reader(path)) as connection:
        assert [problem for each in check(connection) for problem in each.problems] == []
        (run,) = queries.runs_page(connection)
        (point, rest) = queries.curve(connection, 1)
        assert (run.id, run.name, run.attempts, run.note, run.tags) == (1, "first", 120, "", ())
        assert (point.attempts, rest.attempts) == (99, 21)
        assert queries.checkpoints(connection, 1)[0].seq is None
        assert connection.execute("SELECT count(*) FROM metrics").fetchone() == (1,)
        assert len(queries.tasks_of(connection, 1)) == 2


def test_a_feedback_that_says_nothing_stays_nothing(path: Path) -> None:
    make_old(path, 2, [make_judged(1)], feedback="null")
    open_writer(path).close()
    assert _view(path, 1).feedback is None


def test_the_backup_is_the_old_database(path: Path) -> None:
    make_old(path, 2, _attempts(30))
    open_writer(path).close()
    assert _content(path.with_name("altlas.db.bak-2")) == (2, 30, 30)


def test_a_database_without_runs_is_migrated_too(path: Path) -> None:
    make_old(path, 1, [])
    open_writer(path).close()
    with closing(open_reader(path)) as connection:
        assert all(each.ok for each in check(connection))


def test_a_program_that_is_older_refuses_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_writer(path).close()
    monkeypatch.setattr("storage.database.SCHEMA", SCHEMA - 1)
    for opening in (open_writer, open_reader):
        with pytest.raises(SchemaNewerError, match="newer AltLAS"):
            opening(path)


@pytest.mark.timeout(300)
def test_a_kill_leaves_the_old_schema_or_the_new_one_and_all_rows(
    tmp_path: Path, migrate_in_child: Callable[[Path, int], tuple[int, str]]
) -> None:
    first = tmp_path / "0" / "altlas.db"
    first.parent.mkdir()
    make_old(first, 2, _attempts(60))
    ended, statements = migrate_in_child(first, 0)
    assert ended == 0
    chance, total = random.Random(3), int(statements)
    places = {1, total, *chance.sample(range(2, total), KILLS - 2)}
    for last in sorted(places):
        path = tmp_path / str(last) / "altlas.db"
        path.parent.mkdir()
        make_old(path, 2, _attempts(60))
        assert migrate_in_child(path, last)[0] == -signal.SIGKILL
        assert _content(path) == (2, 60, 60)
        assert migrate_in_child(path, 0)[0] == 0
        with closing(open_reader(path)) as connection:
            assert all(each.ok for each in check(connection))
            assert len(queries.events_page(connection, 1)) == 60


def _attempts(count: int) -> list[Judged]:
    """As different as they come: texts with odd signs, twins, rewards that are not there, rounded numbers."""
    found: list[Judged] = []
    for number in range(1, count + 1):
        judged = make_judged(
            number,
            task_id=f"quickstart/{'add' if number % 3 else 'negate'}#{number}",
            score=number % 100 / 100,
            code=f"print('\u00e4\u2028{number % 40}')\n" * 5,
            stdout="\x00\x1b[31m" if number % 2 else "",
        )
        feedback = ToolFeedback(fault=Fault.VALUE, severity=0.3, message=f"no {number}", blame=(0.25, 0.5))
        attempt = judged.attempt
        if number == 7:
            attempt = msgspec.structs.replace(attempt, logps=(-0.1, -0.2, -0.3))
        found.append(msgspec.structs.replace(judged, attempt=attempt, feedback=feedback))
    return found


def _stored_today(path: Path, attempts: list[Judged]) -> Path:
    with closing(open_writer(path)) as connection:
        store_run(connection, make_run_row(), [make_task("add"), make_task("negate")])
        rounded = [_rounded(judged) for judged in attempts]
        store(
            connection,
            Rows(attempts=[attempt_row(1, each, ts_ns=NOW_NS + each.attempt.number) for each in rounded]),
        )
    return path


def _rounded(judged: Judged) -> Judged:
    """An older AltLAS kept log-probabilities as float32."""
    form = struct.Struct(f"<{len(judged.attempt.logps)}f")
    logps = form.unpack(form.pack(*judged.attempt.logps))
    return msgspec.structs.replace(judged, attempt=msgspec.structs.replace(judged.attempt, logps=logps))


def _view(path: Path, number: int) -> AttemptView:
    with closing(open_reader(path)) as connection:
        return queries.find_attempt(connection, 1, number)


def _content(path: Path) -> tuple[int, int, int]:
    """The number of the schema, and how many attempts and events there are."""
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        (number,) = connection.execute("PRAGMA user_version").fetchone()
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("attempts", "events")
        ]
        return number, counts[0], counts[1]
