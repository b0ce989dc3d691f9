"""Copies of a database that is in use."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread

from altlas_agent.core.errors import DatabaseDamagedError, UsageError
from storage.database import open_reader
from storage.maintenance.backup import backup
from storage.rows import Rows
from storage.writer import Writer
from tests.builders import make_attempt_rows, make_run_row, make_task
from tests.storage.maintenance.examples import garble_page, make_whole, num_pages, problems

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "altlas.db"


async def test_a_backup_is_of_one_moment_while_the_writer_goes_on(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])

        async def write() -> None:
            for first in range(1, 2001, 20):
                await writer.durable(Rows(attempts=make_attempt_rows(run_id, range(first, first + 20))))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write)
            copied = await to_thread.run_sync(backup, path, path.with_name("copy.db"))
    copy = path.with_name("copy.db")
    with closing(open_reader(copy)) as connection:
        (count, attempts) = connection.execute(
            "SELECT count(*), (SELECT attempts FROM runs) FROM attempts"
        ).fetchone()
    assert count == attempts
    assert count % 20 == 0
    assert problems(copy) == {}
    assert copied.bytes > 0


def test_a_file_that_is_there_is_not_overwritten(path: Path) -> None:
    make_whole(path, attempts=5)
    target = path.with_name("copy.db")
    target.write_text("mine")
    with pytest.raises(UsageError, match=r"copy\.db exists"):
        backup(path, target)
    assert target.read_text() == "mine"


def test_a_folder_that_is_not_there_is_named(path: Path) -> None:
    make_whole(path, attempts=5)
    with pytest.raises(UsageError, match="no folder"):
        backup(path, path.parent / "nowhere" / "copy.db")


def test_a_damaged_database_leaves_no_backup_that_looks_whole(path: Path) -> None:
    make_whole(path)
    garble_page(path, num_pages(path) // 2)
    target = path.with_name("copy.db")
    with pytest.raises(DatabaseDamagedError, match="altlas db recover"):
        backup(path, target)
    assert [each.name for each in path.parent.iterdir() if "copy" in each.name] == []
