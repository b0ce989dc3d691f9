from __future__ import annotations

import math
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest

from altlas_agent.actors.recorder import Recorder
from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.clock import ManualClock
from altlas_agent.core.errors import StorageError
from altlas_agent.core.events import (
    AnyEvent,
    AttemptScored,
    CheckpointSaved,
    GroupDropped,
    JailChosen,
    Note,
    PolicyUpdated,
    Progress,
    RunEnded,
    RunStarted,
    TaskSolved,
)
from storage.database import open_reader
from storage.reading import queries
from storage.writer import Writer
from tests.builders import NOW_NS, make_judged, make_run_row, make_task

if TYPE_CHECKING:
    from pathlib import Path

    from storage.reading.views import EventView

EVENTS: tuple[AnyEvent, ...] = (
    RunStarted(run_id=1, suite="quickstart", seed=7, tasks=1),
    JailChosen(rung="bubblewrap", layers=("userns", "seccomp")),
    AttemptScored(judged=make_judged(1, score=0.25)),
    AttemptScored(judged=make_judged(2, score=1.0, solved=True)),
    TaskSolved(task_key="quickstart/add", attempt_number=2, code="print(5 + 3)"),
    GroupDropped(group=0, reason="all scores equal"),
    PolicyUpdated(version=1, metrics={"loss": 0.5, "entropy": math.nan}),
    CheckpointSaved(version=1, path="runs/r1/v1.safetensors", sha256="ab" * 32),
    Note(level="info", text="nearly done"),
    RunEnded(run_id=1, reason="all tasks solved", attempts=2, solved=1),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "altlas.db"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(monotonic_ns=1000, wall_ns=NOW_NS)


async def test_every_durable_event_becomes_a_row(path: Path, clock: ManualClock) -> None:
    await _record(path, clock, EVENTS)
    rows = _ask(path, "SELECT seq, type, wall_ns FROM events ORDER BY seq")
    assert [row[0] for row in rows] == list(range(1, len(EVENTS) + 1))
    assert [row[1] for row in rows] == [type(event).__name__ for event in EVENTS]
    assert {row[2] for row in rows} == {NOW_NS}
    payloads = [event.payload for event in _replay(path)]
    assert payloads == [msgspec.msgpack.encode(event) for event in EVENTS]


async def test_facts_reach_their_tables(path: Path, clock: ManualClock) -> None:
    await _record(path, clock, EVENTS)
    assert _ask(path, "SELECT number, score, solved, ts_ns FROM attempts ORDER BY number") == [
        (1, 0.25, 0, NOW_NS),
        (2, 1.0, 1, NOW_NS),
    ]
    assert _ask(path, "SELECT solved_attempt, attempts, best_score FROM tasks") == [(2, 2, 1.0)]
    assert _ask(path, "SELECT attempts, solved, status, reason, jail_rung, jail_layers FROM runs") == [
        (2, 1, "ended", "all tasks solved", "bubblewrap", '["userns","seccomp"]')
    ]
    assert _ask(path, "SELECT name, version, value FROM metrics ORDER BY name") == [
        ("entropy", 1, None),
        ("loss", 1, 0.5),
    ]
    assert _ask(path, "SELECT version, path, sha256 FROM checkpoints") == [
        (1, "runs/r1/v1.safetensors", "ab" * 32)
    ]


async def test_ephemeral_events_are_not_stored(path: Path, clock: ManualClock) -> None:
    progress = Progress(attempts=1, solved=0, best_score=0.5, attempts_per_s=3.0)
    await _record(path, clock, [progress, Note(level="info", text="x"), progress])
    assert _ask(path, "SELECT seq, type FROM events") == [(1, "Note")]


async def test_committed_returns_when_the_event_is_on_disk(path: Path, clock: ManualClock) -> None:
    async with Writer(path) as writer, anyio.create_task_group() as tasks:
        bus = Bus(await writer.begin_run(make_run_row(), [make_task()]), clock)
        recorder = Recorder(bus, writer)
        tasks.start_soon(recorder.run)
        for number in range(1, 20):
            envelope = await bus.publish(AttemptScored(judged=make_judged(number)))
            with anyio.fail_after(5):
                await recorder.committed(envelope.seq)
            assert _ask(path, "SELECT count(*) FROM attempts") == [(number,)]
        bus.close()


async def test_more_events_than_the_queue_holds_are_stored_in_order(path: Path, clock: ManualClock) -> None:
    async with Writer(path) as writer, anyio.create_task_group() as tasks:
        bus = Bus(await writer.begin_run(make_run_row(), [make_task()]), clock)
        recorder = Recorder(bus, writer)
        tasks.start_soon(recorder.run)
        for number in range(1, 3001):
            await bus.publish(AttemptScored(judged=make_judged(number)))
        bus.close()
    assert _ask(path, "SELECT count(*), min(seq), max(seq) FROM events") == [(3000, 1, 3000)]
    assert _ask(path, "SELECT attempts FROM runs") == [(3000,)]


async def test_cancellation_stores_what_was_announced(path: Path, clock: ManualClock) -> None:
    async with Writer(path) as writer, anyio.create_task_group() as tasks:
        bus = Bus(await writer.begin_run(make_run_row(), [make_task()]), clock)
        tasks.start_soon(Recorder(bus, writer).run)
        await anyio.wait_all_tasks_blocked()
        for number in range(1, 801):
            bus.publish_nowait(AttemptScored(judged=make_judged(number)))
            if number == 400:
                await anyio.sleep(0.001)
        tasks.cancel_scope.cancel()
    assert _ask(path, "SELECT count(*), max(number) FROM attempts") == [(800, 800)]


async def test_a_store_that_fails_ends_the_recorder_and_whoever_waits_for_it(
    path: Path, clock: ManualClock
) -> None:
    with pytest.RaisesGroup(
        pytest.RaisesExc(StorageError, match="NOT NULL"), allow_unwrapped=True, flatten_subgroups=True
    ):
        await _record(path, clock, [AttemptScored(judged=make_judged(1, task_id="no/such"))])
    assert _ask(path, "SELECT count(*) FROM events") == [(0,)]


async def test_waiting_for_an_event_that_was_never_stored_is_an_error(path: Path, clock: ManualClock) -> None:
    async with Writer(path) as writer:
        bus = Bus(await writer.begin_run(make_run_row(), []), clock)
        recorder = Recorder(bus, writer)
        bus.close()
        await recorder.run()
        with pytest.raises(StorageError, match="event 1 was not stored"):
            await recorder.committed(1)


async def _record(path: Path, clock: ManualClock, events: tuple[AnyEvent, ...] | list[AnyEvent]) -> None:
    """Publish events on the bus of a fresh run until the recorder has stored them all."""
    async with Writer(path) as writer:
        bus = Bus(await writer.begin_run(make_run_row(), [make_task()]), clock)
        recorder = Recorder(bus, writer)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(recorder.run)
            for event in events:
                await bus.publish(event)
            bus.close()


def _replay(path: Path) -> list[EventView]:
    with closing(open_reader(path)) as connection:
        return queries.events_page(connection, 1)


def _ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(open_reader(path)) as connection:
        return connection.execute(sql).fetchall()
