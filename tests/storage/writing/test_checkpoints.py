"""The WAL is copied back by the writer alone, however long others read, and strangers are noticed."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import pytest

from storage.database import open_reader
from storage.rows import Rows
from storage.writer import Writer
from storage.writing import checkpoints, groups
from tests.builders import make_attempt_rows, make_run_row, make_task

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "altlas.db"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same behaviour in smaller sizes and shorter times."""
    monkeypatch.setattr(groups, "TICK_S", 0.02)
    monkeypatch.setattr(checkpoints, "KEPT_BYTES", 200_000)
    monkeypatch.setattr(checkpoints, "URGENT_BYTES", 200_000)
    monkeypatch.setattr(checkpoints, "INSISTENT_BYTES", 400_000)
    monkeypatch.setattr(checkpoints, "ALARMING_BYTES", 800_000)
    monkeypatch.setattr(checkpoints, "PINNED_S", 0.02)


async def test_the_wal_stays_short_beside_readers_that_hold_a_place_and_no_statement(path: Path) -> None:
    longest = 0
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        with closing(open_reader(path)) as reader:
            place = 0
            for first in range(1, 8001, 100):
                await writer.durable(Rows(attempts=make_attempt_rows(run_id, range(first, first + 100))))
                rows = reader.execute(
                    "SELECT number FROM attempts WHERE run_id = ? AND number > ? ORDER BY number LIMIT 50",
                    (run_id, place),
                ).fetchall()
                place = rows[-1][0]
                longest = max(longest, _wal_bytes(path))
    assert longest < 800_000


async def test_a_reader_that_keeps_a_statement_open_is_warned_of_and_harms_nobody(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        await writer.durable(Rows(attempts=make_attempt_rows(run_id, range(1, 100))))
        with closing(open_reader(path)) as reader:
            statement = reader.execute("SELECT * FROM attempts")
            statement.fetchone()
            for first in range(100, 8000, 100):
                await writer.durable(Rows(attempts=make_attempt_rows(run_id, range(first, first + 100))))
            await _until(lambda: "a reader does not let go of it" in caplog.text)
            statement.close()
        await writer.durable(Rows(attempts=make_attempt_rows(run_id, [9000])))
        await _until(lambda: _wal_bytes(path) <= 800_000)


async def test_what_another_program_writes_is_warned_of(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        await writer.durable(Rows(attempts=make_attempt_rows(run_id, [1])))
        await anyio.sleep(0.1)
        assert "another program" not in caplog.text
        with closing(sqlite3.connect(path)) as stranger:
            stranger.execute("UPDATE runs SET name = 'mine'")
            stranger.commit()
        await writer.durable(Rows(attempts=make_attempt_rows(run_id, [2])))
        await _until(lambda: "was written by another program" in caplog.text)


async def test_a_reader_can_copy_nothing_back(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "TICK_S", 60.0)
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        await writer.durable(Rows(attempts=make_attempt_rows(run_id, range(1, 20))))
        before = await anyio.Path(path).read_bytes()
        with closing(open_reader(path)) as reader, pytest.raises(sqlite3.OperationalError):
            reader.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert await anyio.Path(path).read_bytes() == before


def _wal_bytes(path: Path) -> int:
    return path.with_name(path.name + "-wal").stat().st_size


async def _until(is_so: Callable[[], bool]) -> None:
    for _ in range(2000):
        if is_so():
            return
        await anyio.sleep(0.005)
    raise AssertionError("waited for 10 s in vain")
