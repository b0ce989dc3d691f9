"""Which runs are meant, with the status that is true, in the order that is asked for."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from storage.database import open_reader, open_writer, transaction
from storage.reading.filters import Order, RunFilter, count_filtered, filtered_runs
from storage.rows import EndRow, Rows, SolvedRow
from storage.runs.marks import retag, set_note
from tests.builders import NOW_NS, make_attempt_rows, make_run_row, make_task, store, store_run

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

GONE = 2**22 + 1
"""A process number that Linux does not give."""

HOUR_NS = 3_600_000_000_000


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """r1 ended and solved a task, r2 goes on, r3 says so but is gone, r4 is of another suite and an hour younger."""
    path: Path = tmp_path_factory.mktemp("filters") / "altlas.db"
    with closing(open_writer(path)) as connection:
        store_run(connection, make_run_row("b"), [make_task("add"), make_task("greet")])
        store_run(connection, make_run_row("a"), [make_task("add")])
        store_run(connection, make_run_row("c", pid=GONE), [make_task("add")])
        later = make_run_row("a")._replace(suite="ladder", started_ns=NOW_NS + HOUR_NS)
        store_run(connection, later, [make_task("add")])
        rows = Rows(attempts=make_attempt_rows(1, range(1, 4)), solved=[SolvedRow(1, "quickstart/add", 3)])
        rows.attempts += make_attempt_rows(2, [1, 99])
        rows.ends = [EndRow(1, "ended", "", NOW_NS, 60.0), EndRow(4, "interrupted", "", NOW_NS, 5.0)]
        store(connection, rows)
        with transaction(connection):
            retag(connection, 1, add=["good", "old"], remove=[])
            retag(connection, 4, add=["good"], remove=[])
            set_note(connection, 1, "a note")
    with closing(open_reader(path)) as connection:
        yield connection


@pytest.mark.parametrize(
    ("which", "runs"),
    [
        (RunFilter(), [4, 3, 2, 1]),
        (RunFilter(suite="ladder"), [4]),
        (RunFilter(status="running"), [2]),
        (RunFilter(status="crashed"), [3]),
        (RunFilter(status="interrupted"), [4]),
        (RunFilter(tags=("good",)), [4, 1]),
        (RunFilter(tags=("good", "old", "good")), [1]),
        (RunFilter(tags=("good", "nobody")), []),
        (RunFilter(since_ns=NOW_NS + 1), [4]),
        (RunFilter(before=3), [2, 1]),
        (RunFilter(suite="quickstart", status="ended", tags=("old",), since_ns=NOW_NS), [1]),
    ],
)
def test_filters_and_their_counts_agree(
    reading: sqlite3.Connection, which: RunFilter, runs: list[int]
) -> None:
    assert [run.id for run in filtered_runs(reading, which)] == runs
    assert count_filtered(reading, which) == len(runs)


@pytest.mark.parametrize(
    ("order", "runs"),
    [
        (Order.NEWEST, [4, 3, 2, 1]),
        (Order.OLDEST, [1, 2, 3, 4]),
        (Order.NAME, [4, 2, 1, 3]),
        (Order.SOLVED, [1, 4, 3, 2]),
        (Order.BEST, [2, 1, 4, 3]),
        (Order.ATTEMPTS, [1, 2, 4, 3]),
        (Order.TIME, [1, 4, 3, 2]),
    ],
)
def test_runs_are_sorted(reading: sqlite3.Connection, order: Order, runs: list[int]) -> None:
    assert [run.id for run in filtered_runs(reading, RunFilter(), order=order)] == runs
    assert [run.id for run in filtered_runs(reading, RunFilter(), order=order, limit=2)] == runs[:2]


def test_a_run_comes_with_what_people_said_about_it(reading: sqlite3.Connection) -> None:
    [*_, first] = filtered_runs(reading, RunFilter())
    assert (first.tags, first.note) == (("good", "old"), "a note")


def test_a_run_that_is_gone_says_why(reading: sqlite3.Connection) -> None:
    [run] = filtered_runs(reading, RunFilter(status="crashed"))
    assert (run.id, run.reason) == (3, "its process is gone")
