from __future__ import annotations

import math
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import NotFoundError, UsageError
from altlas_agent.core.records import CaseResult, Status
from storage.database import open_reader, open_writer
from storage.reading import queries
from storage.reading.views import AttemptFilter
from storage.rows import CheckpointRow, EventRow, JailRow, Rows, SolvedRow, attempt_row
from tests.builders import NOW_NS, make_attempt_rows, make_judged, make_run_row, make_task, store, store_run

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[2]


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "altlas.db")) as connection:
        yield connection


@pytest.fixture
def reading(tmp_path: Path, writing: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Reads r1 "first", r2 "twin" and r3 "twin". r2 has 1200 attempts: all at "add", each 100th at "negate"."""
    tasks = [make_task("negate"), make_task("add")]
    for name in ("first", "twin", "twin"):
        store_run(writing, make_run_row(name), tasks)
    numbers = range(1, 1201)
    store(writing, Rows(attempts=make_attempt_rows(2, [number for number in numbers if number % 100])))
    judged = [
        make_judged(
            number,
            task_id="quickstart/negate#3",
            score=1.0,
            solved=number > 600,
            status=Status.SUCCESS if number > 600 else Status.TIMEOUT,
            code="print(-8)",
        )
        for number in numbers
        if not number % 100
    ]
    store(writing, Rows(attempts=[attempt_row(2, each, ts_ns=NOW_NS) for each in judged]))
    store(
        writing, Rows(solved=[SolvedRow(2, "quickstart/negate", 700)], jails=[JailRow(2, "bwrap", '["net"]')])
    )
    with closing(open_reader(tmp_path / "altlas.db")) as connection:
        yield connection


def test_runs_come_newest_first_and_go_on_where_a_page_ended(reading: sqlite3.Connection) -> None:
    assert [run.id for run in queries.runs_page(reading, limit=2)] == [3, 2]
    assert [run.id for run in queries.runs_page(reading, before=2, limit=2)] == [1]
    assert [run.id for run in queries.runs_page(reading, limit=0)] == [3, 2, 1]
    assert queries.count_runs(reading) == 3


@pytest.mark.parametrize(
    ("selector", "run_id"),
    [("r2", 2), ("2", 2), ("@latest", 3), ("@-1", 3), ("@-3", 1), ("first", 1)],
)
def test_a_selector_finds_its_run(reading: sqlite3.Connection, selector: str, run_id: int) -> None:
    assert queries.find_run(reading, selector).id == run_id


@pytest.mark.parametrize(
    "selector", ["r9", "0", "@-4", "@-0", "@first", "", "nobody", "r" + "9" * 40, "' OR 1=1 --"]
)
def test_a_selector_of_no_run_says_where_to_look(reading: sqlite3.Connection, selector: str) -> None:
    with pytest.raises(NotFoundError, match="altlas run list"):
        queries.find_run(reading, selector)


def test_a_name_of_two_runs_is_refused_with_the_candidates(reading: sqlite3.Connection) -> None:
    with pytest.raises(UsageError, match="2 runs are named 'twin': say which of r2, r3"):
        queries.find_run(reading, "twin")


def test_a_run_without_a_name_is_not_found_by_an_empty_one(
    reading: sqlite3.Connection, writing: sqlite3.Connection
) -> None:
    store_run(writing, make_run_row(""), [])
    with pytest.raises(NotFoundError):
        queries.find_run(reading, "")


def test_a_run_carries_its_totals(reading: sqlite3.Connection) -> None:
    run = queries.find_run(reading, "r2")
    assert (run.attempts, run.solved, run.tasks, run.best_score) == (1200, 1, 2, 1.0)
    assert (run.status, run.seed, run.suite) == ("running", 7, "quickstart")
    assert (run.jail_rung, run.jail_layers) == ("bwrap", ("net",))


def test_tasks_come_in_suite_order_with_the_program_that_solved_them(reading: sqlite3.Connection) -> None:
    negate, add = queries.tasks_of(reading, 2)
    assert (negate.key, negate.solved_attempt, negate.solution) == ("quickstart/negate", 700, "print(-8)")
    assert (add.key, add.solved_attempt, add.solution) == ("quickstart/add", None, None)
    assert (negate.attempts, add.attempts, add.best_score) == (12, 1188, 0.99)


def test_pages_of_attempts_meet_without_gap_or_repetition(reading: sqlite3.Connection) -> None:
    numbers: list[int] = []
    before = queries.NEWEST
    while page := queries.attempts_page(reading, AttemptFilter(run_id=2), before=before, limit=333):
        numbers += [line.number for line in page]
        before = page[-1].number
    assert numbers == list(range(1200, 0, -1))


def test_without_a_limit_all_attempts_come(reading: sqlite3.Connection) -> None:
    assert len(queries.attempts_page(reading, AttemptFilter(run_id=2), limit=0)) == 1200
    assert len(queries.attempts_page(reading, AttemptFilter(run_id=2), limit=1100)) == 1100
    assert queries.attempts_page(reading, AttemptFilter(run_id=1), limit=0) == []


def test_a_filter_keeps_what_it_names(reading: sqlite3.Connection) -> None:
    (negate,) = queries.task_ids(reading, 2, "negate")
    assert _numbers(reading, AttemptFilter(run_id=2, solved=True)) == [1200, 1100, 1000, 900, 800, 700]
    assert _numbers(reading, AttemptFilter(run_id=2, task_id=negate, status=Status.TIMEOUT)) == [
        600, 500, 400, 300, 200, 100,
    ]  # fmt: skip
    assert len(_numbers(reading, AttemptFilter(run_id=2, min_score=0.99))) == 24
    assert (
        _numbers(reading, AttemptFilter(run_id=2, task_id=negate, solved=True, status=Status.TIMEOUT)) == []
    )


def test_counts_agree_with_the_lists(reading: sqlite3.Connection) -> None:
    (negate,) = queries.task_ids(reading, 2, "quickstart/negate")
    for which in (
        AttemptFilter(run_id=2),
        AttemptFilter(run_id=2, task_id=negate),
        AttemptFilter(run_id=2, solved=True),
        AttemptFilter(run_id=2, min_score=0.5, status=Status.SUCCESS),
    ):
        assert queries.count_attempts(reading, which) == len(_numbers(reading, which))


def test_an_attempt_is_shown_in_full(reading: sqlite3.Connection) -> None:
    view = queries.find_attempt(reading, 2, 700)
    assert (view.task, view.instance_id, view.language) == (
        "quickstart/negate",
        "quickstart/negate#3",
        "python",
    )
    assert view.cases[0] == CaseResult(passed=True, hidden=False, got='"8"')
    assert view.parts == {"output": 1.0, "syntax": 1.0}
    assert (view.tokens, view.logps) == ((1, 20, 300), (-0.5, -1.25, 0.0))
    assert (view.solved, view.code, view.stdout) == (True, "print(-8)", "8\n")


def test_a_part_that_was_not_finite_is_none(reading: sqlite3.Connection, writing: sqlite3.Connection) -> None:
    row = attempt_row(1, make_judged(1), ts_ns=NOW_NS)
    judged = make_judged(2)
    judged.score.parts["output"] = math.nan
    store(writing, Rows(attempts=[row, attempt_row(1, judged, ts_ns=NOW_NS)]))
    assert queries.find_attempt(reading, 1, 2).parts == {"output": None, "syntax": 1.0}


def test_an_attempt_that_is_not_there_is_named(reading: sqlite3.Connection) -> None:
    with pytest.raises(NotFoundError, match="no attempt 'r2/9999'; there are: altlas attempt list --run r2"):
        queries.find_attempt(reading, 2, 9999)


def test_what_a_resumed_run_needs_is_there(reading: sqlite3.Connection, writing: sqlite3.Connection) -> None:
    assert (queries.last_number(reading, 2), queries.last_number(reading, 1)) == (1200, 0)
    assert queries.last_seq(reading, 2) == 0
    events = [EventRow(2, seq, "Note", 0, 0, None, b"") for seq in (1, 2, 3)]
    files = [CheckpointRow(2, version, f"v{version}", "00", NOW_NS) for version in (5, 10)]
    store(writing, Rows(events=events, checkpoints=files))
    assert queries.last_seq(reading, 2) == 3
    assert [checkpoint.version for checkpoint in queries.checkpoints(reading, 2)] == [10, 5]
    assert queries.run_settings(reading, 2) == '{"run": {"seed": 7}}'
    assert ["negate" in queries.task_specs(reading, 2)[0], len(queries.task_specs(reading, 2))] == [True, 2]


def test_reading_imports_nothing_heavy() -> None:
    code = (
        "import sys, storage.reading.queries, storage.database; "
        "heavy = {'sqlmodel', 'sqlalchemy', 'alembic', 'pydantic', 'torch', 'textual', 'rich', 'anyio'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20, cwd=_ROOT)


def _numbers(connection: sqlite3.Connection, which: AttemptFilter) -> list[int]:
    return [line.number for line in queries.attempts_page(connection, which, limit=0)]
