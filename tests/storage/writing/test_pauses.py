"""A lock of another program and a full disk are waited for: nothing is dropped, and nothing acknowledged is lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest

from altlas_agent.core.errors import StorageError
from storage.database import Pause, open_reader
from storage.rows import Rows
from storage.writer import MAX_ROWS, Writer
from storage.writing import groups
from tests.builders import make_attempt_rows, make_run_row, make_task

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[3]

FILLING = """
import json, os, pathlib, sys
import anyio
from storage.database import Pause, open_reader
from storage.rows import Rows
from storage.writer import Writer
from storage.writing import groups
from tests.builders import make_attempt_rows, make_run_row, make_task

groups.RETRY_S, groups.TICK_S = 0.02, 0.05
folder, room = pathlib.Path(sys.argv[1]), int(sys.argv[2])
path, filler = folder / "altlas.db", folder / "filler"
heard, acknowledged = [], 0

def hear(pause):
    heard.append(pause)
    if pause is Pause.DISK_FULL:
        with open_reader(path) as reader:
            assert reader.execute("SELECT count(*) FROM attempts").fetchone()[0] >= acknowledged
        filler.unlink(missing_ok=True)

async def main():
    global acknowledged
    async with Writer(path, on_pause=hear) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        disk = os.statvfs(folder)
        filler.write_bytes(bytes(max(disk.f_bavail * disk.f_bsize - room, 0)))
        for first in range(1, 1001, 40):
            await writer.durable(Rows(attempts=make_attempt_rows(run_id, range(first, first + 40))))
            acknowledged = first + 39
    with open_reader(path) as reader:
        counted = reader.execute("SELECT count(*), min(number), max(number) FROM attempts").fetchone()
        whole = reader.execute("PRAGMA integrity_check").fetchone()[0]
    print(json.dumps([heard, counted, whole]))

anyio.run(main)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "altlas.db"


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same waits, shorter."""
    monkeypatch.setattr(groups, "BUSY_S", 0.05)
    monkeypatch.setattr(groups, "RETRY_S", 0.05)


@pytest.mark.usefixtures("hurried")
async def test_a_lock_of_another_program_is_a_pause_and_then_all_is_stored(path: Path) -> None:
    heard: list[Pause | None] = []
    async with Writer(path, on_pause=heard.append) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        with closing(_other(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            async with anyio.create_task_group() as callers:
                for number in range(1, 40):
                    callers.start_soon(writer.durable, Rows(attempts=make_attempt_rows(run_id, [number])))
                await _until(lambda: heard == [Pause.DB_BUSY])
                assert writer.statistics().pause is Pause.DB_BUSY
                assert _count(path) == 0
                other.execute("COMMIT")
        await writer.flush()
        assert writer.statistics().pause is None
    assert heard == [Pause.DB_BUSY, None]
    assert _count(path) == 39


@pytest.mark.usefixtures("hurried")
async def test_who_submits_waits_during_a_pause_and_loses_nothing(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        handed_over = 0

        async def submit() -> None:
            nonlocal handed_over
            for first in range(1, 4001, 100):
                await writer.submit(Rows(attempts=make_attempt_rows(run_id, range(first, first + 100))))
                handed_over = first + 99

        async with anyio.create_task_group() as tasks:
            with closing(_other(path)) as other:
                other.execute("BEGIN IMMEDIATE")
                tasks.start_soon(submit)
                await _until(lambda: writer.statistics().pause is Pause.DB_BUSY)
                await anyio.sleep(0.2)
                assert handed_over <= MAX_ROWS + 100
                other.execute("COMMIT")
    assert _count(path) == 4000


@pytest.mark.usefixtures("hurried")
async def test_a_pause_that_does_not_end_is_an_error_that_says_how_long_it_waited(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(groups.PATIENCE_S, Pause.DB_BUSY, 0.3)
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        with closing(_other(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StorageError, match=r"another program has locked .*; waited \d+ s for it"):
                await writer.durable(Rows(attempts=make_attempt_rows(run_id, [1])))
            other.execute("ROLLBACK")
        with pytest.raises(StorageError, match="waited"):
            await writer.close()
    assert _count(path) == 0


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("pages", [0, 1, 2, 5, 9])
async def test_a_database_that_may_not_grow_is_a_pause_at_every_page(path: Path, pages: int) -> None:
    """SQLite says that the disk is full when a database reaches its greatest count of pages."""
    heard: list[Pause | None] = []
    connections: list[sqlite3.Connection] = []

    def limit(connection: sqlite3.Connection) -> None:
        connections.append(connection)
        (count,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {count + pages}")

    def give_room(pause: Pause | None) -> None:
        heard.append(pause)
        connections[0].execute("PRAGMA max_page_count = 1000000")

    async with Writer(path, on_pause=give_room) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        writer.post(limit)
        await writer.durable(Rows(attempts=make_attempt_rows(run_id, range(1, 400))))
    assert heard == [Pause.DISK_FULL, None]
    assert _count(path) == 399
    assert _ask(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.skipif(not shutil.which("bwrap"), reason="a disk of a few KB is made with bubblewrap")
@pytest.mark.timeout(120)
@pytest.mark.parametrize("room", [0, 8192, 20_000, 65_536, 150_000])
def test_a_full_disk_is_waited_for_while_readers_go_on(tmp_path: Path, room: int) -> None:
    """`room` is what the first group finds: the disk is full at the WAL, its index, or the database."""
    words = ["--dev-bind", "/", "/", "--size", "6000000", "--tmpfs", str(tmp_path), "--chdir", str(ROOT)]
    ended = subprocess.run(
        ["bwrap", *words, "--", sys.executable, "-c", FILLING, str(tmp_path), str(room)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    heard, counted, whole = json.loads(ended.stdout)
    assert heard[:2] == ["disk_full", None]
    assert counted == [1000, 1, 1000]
    assert whole == "ok"


def _other(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


def _count(path: Path) -> int:
    return int(str(_ask(path, "SELECT count(*) FROM attempts")[0][0]))


def _ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(open_reader(path)) as connection:
        return connection.execute(sql).fetchall()


async def _until(is_so: Callable[[], bool]) -> None:
    for _ in range(4000):
        if is_so():
            return
        await anyio.sleep(0.005)
    raise AssertionError("waited for 20 s in vain")
