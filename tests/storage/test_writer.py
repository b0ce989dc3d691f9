from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import pytest

from altlas_agent.core.errors import StorageError
from storage.database import open_reader, open_writer
from storage.rows import CheckpointRow, EndRow, EventRow, MetricRow, Rows, SolvedRow
from storage.writer import MAX_ROWS, Writer
from storage.writing import groups
from storage.writing.groups import GROUP_ROWS
from tests.builders import NOW_NS, make_attempt_rows, make_run_row, make_task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "altlas.db"


async def test_durable_returns_after_the_commit(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        await writer.durable(Rows(attempts=make_attempt_rows(run_id, [1, 2, 3])))
        assert _ask(path, "SELECT number FROM attempts") == [(1,), (2,), (3,)]


async def test_runs_get_numbers_that_are_never_used_again(path: Path) -> None:
    async with Writer(path) as writer:
        assert await writer.begin_run(make_run_row(), []) == 1
        assert await writer.begin_run(make_run_row(), []) == 2
    with closing(open_writer(path)) as connection:
        connection.execute("DELETE FROM runs")
    async with Writer(path) as writer:
        assert await writer.begin_run(make_run_row(), []) == 3


async def test_submitted_rows_are_stored_when_the_writer_closes(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        for number in range(1, 41):
            await writer.submit(Rows(attempts=make_attempt_rows(run_id, [number])))
    assert _ask(path, "SELECT count(*) FROM attempts") == [(40,)]


async def test_flush_waits_for_everything_submitted_before(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        for number in range(1, 41):
            await writer.submit(Rows(attempts=make_attempt_rows(run_id, [number])))
        await writer.flush()
        assert _ask(path, "SELECT count(*) FROM attempts") == [(40,)]


async def test_many_callers_share_few_commits(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        before = writer.statistics().groups
        async with anyio.create_task_group() as callers:
            for number in range(1, 201):
                callers.start_soon(writer.durable, Rows(attempts=make_attempt_rows(run_id, [number])))
        statistics = writer.statistics()
        assert statistics.rows == 200
        assert statistics.groups - before < 100


async def test_submit_waits_while_the_writer_is_behind(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        with closing(open_writer(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with anyio.move_on_after(0.3) as scope:
                for number in range(1, 3 * MAX_ROWS):
                    await writer.submit(Rows(attempts=make_attempt_rows(run_id, [number])))
            assert scope.cancelled_caught
            assert writer.statistics().waiting <= MAX_ROWS
            other.execute("COMMIT")
    assert _ask(path, "SELECT count(*), max(number) FROM attempts") == [(MAX_ROWS, MAX_ROWS)]


async def test_a_second_write_of_the_same_rows_changes_nothing(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        for _ in range(2):
            await writer.durable(_one_of_each(run_id))
        await writer.durable(Rows(attempts=make_attempt_rows(run_id, [4, 2, 4])))
    assert _ask(path, "SELECT attempts, solved, best_score FROM runs") == [(4, 1, 0.04)]
    assert _ask(path, "SELECT attempts, best_score, solved_attempt FROM tasks") == [(4, 0.04, 3)]
    for table in ("events", "metrics", "checkpoints"):
        assert _ask(path, f"SELECT count(*) FROM {table}") == [(1,)]


async def test_the_totals_follow_every_group(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task("add"), make_task("negate")])
        await writer.durable(Rows(attempts=make_attempt_rows(run_id, range(1, 2 * GROUP_ROWS))))
        await writer.durable(
            Rows(attempts=make_attempt_rows(run_id, [2000, 2050], task_id="quickstart/negate#4"))
        )
    assert _ask(path, "SELECT attempts, tasks, best_score FROM runs") == [(2 * GROUP_ROWS + 1, 2, 0.99)]
    assert _ask(path, "SELECT key, attempts, best_score FROM tasks ORDER BY id") == [
        ("quickstart/add", 2 * GROUP_ROWS - 1, 0.99),
        ("quickstart/negate", 2, 0.5),
    ]


async def test_a_bad_row_fails_every_caller_of_its_group_and_all_that_come_later(path: Path) -> None:
    errors: list[StorageError] = []

    async def store(writer: Writer, rows: Rows) -> None:
        try:
            await writer.durable(rows)
        except StorageError as error:
            errors.append(error)

    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        with closing(open_writer(path)) as other:
            other.execute("BEGIN IMMEDIATE")  # whoever comes now gathers in one group
            async with anyio.create_task_group() as callers:
                callers.start_soon(store, writer, Rows(attempts=make_attempt_rows(run_id, [1])))
                await _until_taken(writer)
                callers.start_soon(store, writer, Rows(attempts=make_attempt_rows(run_id, [2])))
                unknown = make_attempt_rows(run_id, [3], task_id="no/such")
                callers.start_soon(store, writer, Rows(attempts=unknown))
                callers.start_soon(store, writer, Rows(attempts=make_attempt_rows(run_id, [4])))
                await anyio.wait_all_tasks_blocked()
                other.execute("COMMIT")
        assert len(errors) == 3
        assert "NOT NULL constraint failed" in errors[0].message
        with pytest.raises(StorageError, match="NOT NULL"):
            await writer.submit(Rows())
        with pytest.raises(StorageError, match="NOT NULL"):
            await writer.close()
    assert _ask(path, "SELECT number FROM attempts") == [(1,)]


async def test_a_value_that_sqlite_cannot_hold_is_a_storage_error(path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be stored"):
        async with Writer(path) as writer:
            await writer.begin_run(make_run_row(seed=2**70), [])


async def test_a_failure_of_submitted_rows_surfaces_on_leaving(path: Path) -> None:
    with pytest.raises(StorageError, match="FOREIGN KEY"):
        async with Writer(path) as writer:
            await writer.submit(Rows(metrics=[MetricRow(99, "loss", 1, 0.5, NOW_NS)]))


async def test_cancellation_loses_nothing_that_was_submitted(path: Path) -> None:
    with anyio.CancelScope() as scope:
        async with Writer(path) as writer:
            run_id = await writer.begin_run(make_run_row(), [make_task()])
            await writer.submit(Rows(attempts=make_attempt_rows(run_id, range(1, 300))))
            scope.cancel()
            await anyio.sleep_forever()
    assert _ask(path, "SELECT count(*) FROM attempts") == [(299,)]


async def test_a_closed_writer_refuses(path: Path) -> None:
    async with Writer(path) as writer:
        pass
    with pytest.raises(StorageError, match="not open for writing"):
        await writer.submit(Rows())
    await writer.close()


async def test_the_end_of_a_run_overrides_what_its_last_event_said(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [])
        await writer.durable(Rows(ends=[EndRow(run_id, "ended", "all solved", NOW_NS + 2_000_000_000)]))
        assert _ask(path, "SELECT status, reason, wall_s FROM runs") == [("ended", "all solved", 2.0)]
        await writer.end_run(EndRow(run_id, "interrupted", "ctrl-c", NOW_NS + 9, 1.5))
        await writer.durable(Rows(ends=[EndRow(run_id, "ended", "late", NOW_NS)]))
    assert _ask(path, "SELECT status, reason, ended_ns, wall_s FROM runs") == [
        ("interrupted", "ctrl-c", NOW_NS + 9, 1.5)
    ]


async def test_runs_that_a_killed_process_left_behind_are_marked_as_crashed(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [])
        event = EventRow(run_id, 1, "Note", 5, NOW_NS + 3_000_000_000, None, b"")
        await writer.durable(Rows(events=[event]))
    async with Writer(path):
        assert _ask(path, "SELECT status, ended_ns, wall_s FROM runs") == [
            ("crashed", NOW_NS + 3_000_000_000, 3.0)
        ]


async def test_the_wal_is_copied_back_while_the_writer_runs(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "TICK_S", 0.05)
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        size_before = _size(path)
        await writer.durable(Rows(attempts=make_attempt_rows(run_id, range(1, 400))))
        await _until(lambda: _size(path) > size_before + 20_000)
        wal_size = _size(_wal(path))
        for first in range(400, 4000, 400):
            await writer.durable(Rows(attempts=make_attempt_rows(run_id, range(first, first + 400))))
            await anyio.sleep(0.15)
        assert _size(_wal(path)) < 4 * wal_size


async def test_a_damaged_database_cannot_be_entered(path: Path) -> None:
    _spoil(path)
    with pytest.raises(StorageError, match="damaged"):
        async with Writer(path):
            pass


async def test_readers_are_never_locked_out(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        with closing(sqlite3.connect(path.as_uri() + "?mode=ro", uri=True, timeout=0)) as reader:
            for first in range(1, 1000, 50):
                await writer.submit(Rows(attempts=make_attempt_rows(run_id, range(first, first + 50))))
                reader.execute("SELECT count(*) FROM attempts").fetchone()
    assert _ask(path, "PRAGMA integrity_check") == [("ok",)]
    assert _ask(path, "PRAGMA foreign_key_check") == []


async def _until_taken(writer: Writer) -> None:
    """Wait until the thread has begun a group with everything that was handed over."""
    await anyio.wait_all_tasks_blocked()
    await _until(lambda: writer.statistics().waiting == 0)


async def _until(is_so: Callable[[], bool]) -> None:
    for _ in range(2500):
        if is_so():
            return
        await anyio.sleep(0.002)
    raise AssertionError("waited for 5 s in vain")


def _one_of_each(run_id: int) -> Rows:
    return Rows(
        attempts=make_attempt_rows(run_id, [1, 2, 3]),
        solved=[SolvedRow(run_id, "quickstart/add", 3)],
        metrics=[MetricRow(run_id, "loss", 1, None, NOW_NS)],
        events=[EventRow(run_id, 1, "Note", 5, NOW_NS, None, b"\x80")],
        checkpoints=[CheckpointRow(run_id, 1, "policy.safetensors", "ab" * 32, NOW_NS)],
    )


def _wal(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _size(path: Path) -> int:
    return path.stat().st_size


def _spoil(path: Path) -> None:
    path.write_bytes(b"nothing of the kind " * 100)


def _ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(open_reader(path)) as connection:
        return connection.execute(sql).fetchall()
