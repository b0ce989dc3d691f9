"""The daemon's own events are numbered as they are stored, whoever adds them, and no list of runs shows them."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread

from altlas_agent.core.clock import ManualClock
from altlas_agent.core.errors import EventRefused, NotFoundError, StorageError
from altlas_agent.core.events import Note
from storage.database import open_reader
from storage.journal import JOURNAL_RUN, Journal
from storage.reading import queries
from storage.reading.announced import events_page
from storage.rows import Rows
from storage.writer import Writer
from tests.builders import make_attempt_rows, make_run_row, make_task

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "altlas.db"


def note(text: object) -> Note:
    return Note(level="info", text=str(text))


def texts(path: Path) -> dict[int, str]:
    with closing(open_reader(path)) as connection:
        found = events_page(connection, JOURNAL_RUN, 1, limit=100)
    return {each.seq: each.event.text for each in found if isinstance(each.event, Note)}


async def test_the_journal_goes_on_where_an_earlier_process_left_it(path: Path) -> None:
    for text in ("one", "two"):
        async with Writer(path) as writer:
            Journal(writer, ManualClock(wall_ns=5)).add(note(text))
    assert texts(path) == {1: "one", 2: "two"}


async def test_threads_and_the_loop_add_to_one_gap_free_order(path: Path) -> None:
    async with Writer(path) as writer:
        journal = Journal(writer, ManualClock())
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        async with anyio.create_task_group() as tasks:
            for number in range(1, 21):
                tasks.start_soon(to_thread.run_sync, journal.add, note(number))
                tasks.start_soon(writer.durable, Rows(attempts=make_attempt_rows(run_id, [number])))
                journal.add(note(-number))
    assert list(texts(path)) == list(range(1, 41))
    assert sorted(map(int, texts(path).values())) == [*range(-20, 0), *range(1, 21)]


async def test_what_is_added_while_the_loop_stands_still_is_stored_meanwhile(path: Path) -> None:
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(writer.durable, Rows(attempts=make_attempt_rows(run_id, [1])))
            await anyio.lowlevel.checkpoint()  # its thread has an answer that nobody takes
            Journal(writer, ManualClock()).add(note("blocked"))
            until = time.monotonic() + 10
            while not texts_so_far(path) and time.monotonic() < until:
                time.sleep(0.02)  # noqa: ASYNC251 - a handler that blocks the loop
            assert texts_so_far(path) == {1: "blocked"}


def texts_so_far(path: Path) -> dict[int, str]:
    return texts(path) if path.exists() else {}


async def test_no_list_of_runs_shows_the_journal(path: Path) -> None:
    async with Writer(path) as writer:
        Journal(writer, ManualClock()).add(note("one"))
        await writer.flush()
        with closing(open_reader(path)) as connection:
            assert queries.runs_page(connection) == []
            assert queries.count_runs(connection) == 0
            for selector in ("@latest", ""):
                with pytest.raises(NotFoundError):
                    queries.find_run(connection, selector)
        assert await writer.begin_run(make_run_row(), []) == 1


async def test_what_is_no_event_and_what_comes_too_late_is_refused(path: Path) -> None:
    async with Writer(path) as writer:
        journal = Journal(writer, ManualClock())
        with pytest.raises(EventRefused):
            journal.add(note("x" * 300_000))
    with pytest.raises(StorageError, match="not open"):
        journal.add(note("late"))
