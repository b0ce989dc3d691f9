"""Runs are taken away whole, and nothing of another run goes with them."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import StorageError
from storage import fingerprints, search
from storage.database import open_reader, open_writer, transaction
from storage.maintenance.check import check
from storage.reading import queries
from storage.rows import CheckpointRow, EndRow, EventRow, MetricRow, Rows, SolvedRow, attempt_row
from storage.runs import deletion
from storage.runs.exams import ExamRow
from storage.writer import Writer
from tests.builders import NOW_NS, make_attempt_rows, make_judged, make_run_row, make_task

if TYPE_CHECKING:
    from pathlib import Path

    from storage.rows import AttemptRow

TABLES = (
    "attempts",
    "tasks",
    "events",
    "metrics",
    "checkpoints",
    "curves",
    "tallies",
    "run_tags",
    "exams",
    "runs",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "altlas.db"


async def test_a_deleted_run_leaves_no_row_and_the_other_run_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "PIECE", 7)
    async with Writer(path) as writer:
        for _ in range(2):
            await _store_run(writer)
        kept = {table: _count(path, table, 2) for table in TABLES}
        assert await writer.delete_run(1)
        assert {table: _count(path, table, 1) for table in TABLES} == dict.fromkeys(TABLES, 0)
        assert {table: _count(path, table, 2) for table in TABLES} == kept
        assert not await writer.delete_run(1)
    assert _problems(path) == []


async def test_nothing_is_stored_for_a_run_that_is_gone(path: Path) -> None:
    async with Writer(path) as writer:
        await _store_run(writer)
        await writer.delete_run(1)
        await writer.submit(Rows(attempts=make_attempt_rows(1, [99])))
        with pytest.raises(StorageError, match="NOT NULL"):
            await writer.close()


async def test_a_running_run_is_not_deleted(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        assert not await writer.delete_run(run_id)
        assert not await writer.delete_run(run_id + 1)
    assert _count(path, "runs", run_id) == 1


async def test_a_deletion_that_was_stopped_says_so_goes_on_and_worries_no_check(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deletion, "PIECE", 12)
    async with Writer(path) as writer:
        await _store_run(writer)
    with closing(open_writer(path)) as connection:
        with transaction(connection):
            deletion.mark(connection, 1)
        while _count(path, "attempts", 1) == 30:
            with transaction(connection):
                deletion.delete_piece(connection, 1)
        assert deletion.unfinished(connection) == [1]
    assert _count(path, "attempts", 1) == 18
    assert _problems(path) == []
    async with Writer(path) as writer:
        assert await writer.delete_run(1)
    assert _count(path, "runs", 1) == 0


async def test_a_program_of_a_deleted_run_is_found_where_it_is_left(path: Path) -> None:
    async with Writer(path) as writer:
        for run_id in (1, 2):
            await writer.begin_run(make_run_row(), [make_task()])
            await writer.durable(
                Rows(attempts=[_solution(run_id, "shared_words"), _solution(run_id, f"of_{run_id}")])
            )
            await writer.end_run(EndRow(run_id, "ended", "", NOW_NS))
    with closing(open_writer(path)) as connection, transaction(connection):
        search.index(connection, limit=100)
    assert _found(path, "shared_words") == [1]
    async with Writer(path) as writer:
        await writer.delete_run(1)
    assert _found(path, "shared_words") == [2]
    assert _found(path, "of_1") == []
    assert _found(path, "of_2") == [2]


async def test_what_comes_after_a_deletion_of_the_newest_run_is_found_too(path: Path) -> None:
    async with Writer(path) as writer:
        await writer.begin_run(make_run_row(), [make_task()])
        await writer.durable(Rows(attempts=[_solution(1, word) for word in ("a", "bb", "ccc")]))
        await writer.end_run(EndRow(1, "ended", "", NOW_NS))
    _follow(path)
    async with Writer(path) as writer:
        await writer.delete_run(1)
        await writer.begin_run(make_run_row(), [make_task()])
        await writer.durable(Rows(attempts=[_solution(2, word) for word in ("dddd", "eeeee")]))
        await writer.end_run(EndRow(2, "ended", "", NOW_NS))
    _follow(path)
    assert _found(path, "dddd") == _found(path, "eeeee") == [2]
    assert _problems(path) == []


def _follow(path: Path) -> None:
    """Let everything that follows the attempts catch up."""
    with closing(open_writer(path)) as connection, transaction(connection):
        search.index(connection, limit=100)
        fingerprints.follow(connection, limit=100)


async def _store_run(writer: Writer) -> None:
    run_id = await writer.begin_run(make_run_row(), [make_task()])
    await writer.durable(
        Rows(
            attempts=make_attempt_rows(run_id, range(1, 31)),
            events=[EventRow(run_id, seq, "Note", 5, NOW_NS, None, b"\x80") for seq in range(1, 31)],
            metrics=[MetricRow(run_id, name, seq, 0.5, NOW_NS) for name in ("a", "b") for seq in range(9)],
            checkpoints=[CheckpointRow(run_id, 1, "policy.safetensors", "ab" * 32, NOW_NS)],
            solved=[SolvedRow(run_id, "quickstart/add", 3)],
        )
    )
    await writer.retag(run_id, add=["good"])
    await writer.keep_exam(ExamRow(run_id, NOW_NS, 1, "ab" * 32, 7, 8, "{}"))
    await writer.end_run(EndRow(run_id, "ended", "done", NOW_NS + 1))


def _solution(run_id: int, word: str) -> AttemptRow:
    number = len(word)
    judged = make_judged(number, score=1.0, solved=True, code=f"print({word}, 'of the same program')")
    return attempt_row(run_id, judged, ts_ns=NOW_NS)


def _found(path: Path, words: str) -> list[int]:
    with closing(open_reader(path)) as connection:
        return [line.run_id for line in queries.search_attempts(connection, words)]


def _count(path: Path, table: str, run_id: int) -> int:
    key = "id" if table == "runs" else "run_id"
    with closing(open_reader(path)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table} WHERE {key} = {run_id}").fetchone()[0])


def _problems(path: Path) -> list[str]:
    with closing(open_reader(path)) as connection:
        return [problem for each in check(connection) for problem in each.problems]
