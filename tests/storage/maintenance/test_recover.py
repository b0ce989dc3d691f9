"""`altlas db recover` saves what can be read, says what is lost, and leaves a database that is whole."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import pytest

from altlas_agent.core.errors import DatabaseDamagedError
from storage.database import open_reader, open_writer
from storage.maintenance.recover import recover
from storage.maintenance.repair import LOST
from storage.reading import queries
from storage.rows import Rows
from storage.writer import Writer
from tests.builders import make_attempt_rows, make_judged, make_run_row, make_task
from tests.storage.maintenance.examples import (
    ATTEMPTS,
    RUNS,
    change,
    cut_off,
    flip_bit,
    garble_page,
    make_whole,
    num_pages,
    problems,
)
from tests.storage.migrations.old import make_old

if TYPE_CHECKING:
    from pathlib import Path


PAGES = int(os.environ.get("ALTLAS_DAMAGED_PAGES", "14"))
"""How many pages are damaged, one after the other."""

KILLED = """
import os, pathlib, signal, sqlite3, sys
from storage.maintenance import recover

executed, make = 0, recover._make

def counting(part, number):
    connection = make(part, number)
    connection.set_trace_callback(count)
    return connection

def count(statement):
    global executed
    executed += 1
    if executed == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

recover._make = counting
recover.recover(pathlib.Path(sys.argv[1]))
print(executed)
"""


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a database with something of everything."""
    path: Path = tmp_path_factory.mktemp("whole") / "altlas.db"
    make_whole(path)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, whole: bytes) -> Path:
    path = tmp_path / "altlas.db"
    path.write_bytes(whole)
    return path


def test_nothing_is_lost_of_a_database_that_is_whole(path: Path) -> None:
    before = _content(path)
    recovery = recover(path)
    assert recovery.losses == ()
    assert all(each.holes == each.refused == 0 for each in recovery.tables)
    assert _content(path) == before
    assert problems(path) == {}


@pytest.mark.timeout(300)
def test_whatever_page_is_damaged_the_new_database_is_whole_and_keeps_nearly_all(
    path: Path, whole: bytes
) -> None:
    pages = random.Random(8).sample(range(2, num_pages(path) + 1), PAGES)
    kept: list[int] = []
    for page in pages:
        path.write_bytes(whole)
        garble_page(path, page)
        recovery = recover(path)
        assert problems(path) == {}, page
        attempts, _ = _content(path)
        kept.append(len(attempts))
        (damaged,) = path.parent.glob("*.damaged-*[0-9]")
        assert str(damaged) == recovery.damaged
        _clear(path)
    assert sorted(kept)[len(kept) // 2] == RUNS * ATTEMPTS
    # Only the page from which all attempts are reached takes all of them with it.
    assert sum(count < RUNS * ATTEMPTS * 0.9 for count in kept) <= 1


async def test_a_recovered_database_is_written_on(path: Path) -> None:
    garble_page(path, num_pages(path) // 2)
    recover(path)
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        await writer.durable(Rows(attempts=make_attempt_rows(run_id, [1, 2, 3])))
    assert problems(path) == {}


def test_a_text_that_is_damaged_is_marked_as_lost_and_its_events_are_a_gap(path: Path) -> None:
    with closing(open_reader(path)) as connection:
        (run_id, number, body) = connection.execute(
            "SELECT run_id, number, code_id FROM attempts WHERE run_id = 1 AND number = 20"
        ).fetchone()
    change(path, f"UPDATE bodies SET data = CAST(x'00' || data AS BLOB) WHERE id = {body}")
    recovery = recover(path)
    assert recovery.losses == ("the code of 1 attempts", "events 20 to 20 of run r1")
    with closing(open_reader(path)) as connection:
        assert queries.find_attempt(connection, run_id, number).code == LOST
        assert [event.seq for event in queries.events_page(connection, 1, after=18, limit=2)] == [19, 21]
    assert problems(path) == {}


def test_a_flipped_bit_anywhere_is_found_or_means_nothing(path: Path, whole: bytes) -> None:
    """A bit in what lies in a row itself, and is no text, may change a number: SQLite keeps no sum of a page."""
    with closing(open_reader(path)) as connection:
        (data,) = connection.execute("SELECT data FROM bodies WHERE size > 60 ORDER BY id LIMIT 1").fetchone()
    place = whole.index(data) + len(data) // 2
    flip_bit(path, place)
    assert problems(path) == {"texts": 1}
    recover(path)
    assert problems(path) == {}


@pytest.mark.parametrize("share", [0.7, 0.5, 0.2])
def test_a_file_that_was_cut_off_gives_what_is_left(path: Path, share: float) -> None:
    cut_off(path, share)
    with pytest.raises(DatabaseDamagedError):
        open_writer(path)
    try:
        recovery = recover(path)
    except DatabaseDamagedError:
        assert share < 0.5
        return
    assert recovery.losses or any(each.holes for each in recovery.tables)
    assert problems(path) == {}


def test_what_cannot_be_read_at_all_is_left_as_it_is(path: Path) -> None:
    garble_page(path, 1)
    before = path.read_bytes()
    with pytest.raises(DatabaseDamagedError, match="put a backup in its place"):
        recover(path)
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == ["altlas.db"]


def test_texts_are_read_with_the_spare_of_a_dictionary(path: Path) -> None:
    _add_dictionary(path)
    before = _content(path)
    change(path, "UPDATE dictionaries SET data = x'00'")
    assert "texts" in problems(path)
    assert recover(path).losses == ()
    assert _content(path) == before
    assert problems(path) == {}


def test_a_database_of_an_older_schema_is_recovered_in_its_schema_and_migrated_later(tmp_path: Path) -> None:
    path = tmp_path / "altlas.db"
    make_old(path, 2, [make_judged(number) for number in range(1, 60)])
    assert recover(path).schema == 2
    open_writer(path).close()
    assert problems(path) == {}
    attempts, _ = _content(path)
    assert len(attempts) == 59


def test_the_damaged_files_of_two_recoveries_are_both_kept(path: Path) -> None:
    assert recover(path).damaged.endswith("altlas.db.damaged-1")
    assert recover(path).damaged.endswith("altlas.db.damaged-2")


@pytest.mark.timeout(120)
def test_a_kill_leaves_the_damaged_database_or_the_new_one(path: Path, whole: bytes) -> None:
    garble_page(path, num_pages(path) // 2)
    damaged = path.read_bytes()
    total = int(_recover_in_child(path, 0).stdout)
    for last in (1, total // 2, total):
        path.write_bytes(damaged)
        assert _recover_in_child(path, last).returncode == -signal.SIGKILL
        assert path.read_bytes() == damaged
        assert recover(path).losses is not None
        assert problems(path) == {}


def _recover_in_child(path: Path, last: int) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", KILLED, str(path), str(last)]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)


def _add_dictionary(path: Path) -> None:
    """Enough programs for the writer to make one."""
    rows = [
        row._replace(
            code=f"def f{row.number}(xs):\n    # adds up all of them\n    return sum(xs) * {row.number}"
        )
        for row in make_attempt_rows(3, range(1, 1501))
    ]

    async def write() -> None:
        async with Writer(path) as writer:
            await writer.begin_run(make_run_row(), [make_task()])
            for first in range(0, len(rows), 500):
                await writer.durable(Rows(attempts=rows[first : first + 500]))

    anyio.run(write)
    with closing(open_reader(path)) as connection:
        assert connection.execute("SELECT count(*) FROM bodies WHERE dictionary > 0").fetchone()[0] > 100


def _content(path: Path) -> tuple[list[object], list[bytes]]:
    """All attempts and the payloads of all events."""
    with closing(open_reader(path)) as connection:
        numbers = connection.execute("SELECT run_id, number FROM attempts ORDER BY 1, 2").fetchall()
        attempts: list[object] = [queries.find_attempt(connection, *each) for each in numbers]
        runs = [run.id for run in queries.runs_page(connection)]
        events = [
            event.payload for run in runs for event in queries.events_page(connection, run, limit=10_000)
        ]
        return attempts, events


def _clear(path: Path) -> None:
    for each in path.parent.glob("altlas.db*"):
        each.unlink()
