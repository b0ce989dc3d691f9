"""The store is well while it moves or says what it waits for; its failure is raised."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import pytest

from altlas_agent.core.errors import StorageError
from altlas_agent.daemon.service import probe
from altlas_agent.daemon.service.probe import StoreProbe
from storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "altlas.db"


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not holds():  # noqa: ASYNC110 - a thread changes it
            await anyio.sleep(0.05)


async def test_a_store_that_answers_is_no_trouble(path: Path) -> None:
    async with Writer(path) as writer, anyio.create_task_group() as tasks:
        store = StoreProbe(writer)
        tasks.start_soon(store.run)
        await anyio.sleep(0.1)
        assert (store.trouble, store.has_moved) == ("", True)
        tasks.cancel_scope.cancel()


async def test_a_locked_database_is_a_trouble_that_is_declared_and_passes(path: Path) -> None:
    async with Writer(path) as writer, anyio.create_task_group() as tasks:
        store = StoreProbe(writer)
        tasks.start_soon(store.run)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            writer.post(lambda connection: None)
            await until(lambda: bool(store.trouble))
            assert store.trouble == "the store waits: db_busy"
            assert store.has_moved
            other.execute("ROLLBACK")
        await until(lambda: not store.trouble)
        tasks.cancel_scope.cancel()


async def test_a_store_that_says_nothing_is_a_trouble(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "STALE_S", 0.2)
    async with Writer(path) as writer:
        store = StoreProbe(writer)
        assert store.has_moved
        time.sleep(0.3)  # noqa: ASYNC251 - nothing asks it
        assert not store.has_moved
        assert "has not answered" in store.trouble


async def test_the_failure_of_the_store_is_raised(path: Path) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("SELECT * FROM nowhere")

    async def ask() -> None:
        async with Writer(path) as writer:
            writer.post(fail)
            with anyio.fail_after(20):
                await StoreProbe(writer).run()

    with pytest.raises(StorageError, match="nowhere"):
        await ask()
