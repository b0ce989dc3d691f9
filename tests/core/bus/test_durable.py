"""Nothing is acknowledged before it is committed, and nothing goes on that is not kept."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.bus.policies import Policy
from altlas_agent.core.clock import ManualClock
from altlas_agent.core.errors import CutOffError, DeadlineExceeded, EventRefused, StorageError
from altlas_agent.core.events import AttemptScored, Envelope
from storage.database import open_reader
from storage.reading.announced import events_page
from tests.builders import make_judged
from tests.core.bus.conftest import lost, make_bus, note, progress, stored, texts, words

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from altlas_agent.core.bus.subscription import Subscription


class Ledger:
    """A store that keeps in memory what a reader hands it, and commits when it is told to."""

    name = "ledger"

    def __init__(self, bus: Bus) -> None:
        self.committed_seq = bus.last_seq
        self.events: list[Envelope] = []
        self.subscription: Subscription = bus.attach(self)
        self._moved = anyio.Event()

    def commit(self) -> None:
        self.events += self.subscription.drain_nowait()
        self.committed_seq = self.events[-1].seq
        self._moved.set()
        self._moved = anyio.Event()

    async def committed(self, seq: int) -> None:
        while self.committed_seq < seq:
            await self._moved.wait()

    async def read(self, from_seq: int, limit: int) -> Sequence[Envelope]:
        await anyio.lowlevel.checkpoint()
        return [each for each in self.events if from_seq <= each.seq <= self.committed_seq][:limit]


def on_disk(path: Path) -> list[str]:
    with closing(open_reader(path)) as connection:
        return words(events_page(connection, 1, 1, limit=100_000))


async def test_publish_durable_returns_when_the_event_is_on_disk(tmp_path: Path) -> None:
    path = tmp_path / "altlas.db"
    async with stored(path) as (bus, _):
        for number in range(1, 20):
            with anyio.fail_after(5):
                await bus.publish_durable(note(number))
            assert on_disk(path)[-1] == str(number)
            assert bus.committed_seq == bus.last_seq == number


async def test_publish_durable_waits_for_the_commit_and_publish_does_not() -> None:
    bus = make_bus()
    ledger = Ledger(bus)
    acknowledged: list[int] = []

    async def publish(text: str) -> None:
        acknowledged.append((await bus.publish_durable(note(text))).seq)

    async with anyio.create_task_group() as tasks:
        await bus.publish(note("unacknowledged"))
        tasks.start_soon(publish, "a")
        tasks.start_soon(publish, "b")
        await wait_all_tasks_blocked()
        assert (bus.last_seq, bus.committed_seq, acknowledged) == (3, 0, [])
        ledger.commit()
    assert sorted(acknowledged) == [2, 3]


async def test_publish_durable_of_what_nothing_stores_is_refused() -> None:
    bus = make_bus()
    with pytest.raises(EventRefused, match="nothing stores it"):
        await bus.publish_durable(note())
    Ledger(bus)
    with pytest.raises(EventRefused, match="nothing stores it"):
        await bus.publish_durable(progress(1))
    assert bus.last_seq == 0


async def test_a_commit_that_does_not_come_is_no_acknowledgement() -> None:
    bus = make_bus(block_s=0.05)
    Ledger(bus)
    with pytest.raises(DeadlineExceeded, match=r"ledger did not answer the commit of event 1 within 0\.05 s"):
        await bus.publish_durable(note())


async def test_a_store_that_fails_fails_whoever_waits_for_it(tmp_path: Path) -> None:
    foreign = AttemptScored(judged=make_judged(1, task_id="no/such"))
    errors: list[StorageError] = []
    with pytest.RaisesGroup(
        pytest.RaisesExc(StorageError, match="NOT NULL"), allow_unwrapped=True, flatten_subgroups=True
    ):
        async with stored(tmp_path / "altlas.db") as (bus, _):
            with anyio.CancelScope(shield=True):
                for event in (foreign, note()):
                    with pytest.raises(StorageError) as caught:
                        await bus.publish_durable(event)
                    errors.append(caught.value)
    assert [error.message.partition(":")[0] for error in errors] == [
        "event 1 was not stored",
        "recorder takes no more events",
    ]


async def test_without_its_store_a_bus_tells_nothing_durable_and_everything_else() -> None:
    bus = make_bus()
    tail = bus.subscribe("tail", policy=Policy.DROP_OLDEST)
    Ledger(bus).subscription.close()
    with pytest.raises(StorageError, match="ledger takes no more events: Note was not kept"):
        await bus.publish(note())
    await bus.publish(progress(1))
    assert texts(tail) == ["p1"]


async def test_a_store_is_not_attached_over_a_gap() -> None:
    bus = make_bus()
    first = Ledger(bus)
    await bus.publish(note(1))
    first.commit()
    await bus.publish(note(2))
    first.subscription.close()
    with pytest.raises(StorageError, match="events 2 to 2 did not reach ledger"):
        Ledger(bus)


async def test_a_store_is_followed_by_another_when_it_has_everything() -> None:
    bus = make_bus()
    first = Ledger(bus)
    await bus.publish(note(1))
    first.commit()
    first.subscription.close()
    second = Ledger(bus)
    await bus.publish(note(2))
    second.commit()
    assert (words(first.events), words(second.events), bus.committed_seq) == (["1"], ["2"], 2)


async def test_the_store_gets_control_and_data_in_the_one_order() -> None:
    bus = make_bus()
    ledger = Ledger(bus)
    for event in (note("a"), lost("x"), progress(1), note("b")):
        await bus.publish(event)
    ledger.commit()
    assert words(ledger.events) == ["a", "!x", "b"]


async def test_a_store_that_declares_a_pause_is_not_cut_off_and_picking_ends_with_an_error() -> None:
    bus = make_bus(block_s=0.05)
    ledger = Ledger(bus)
    with ledger.subscription.paused("disk_full"):
        for _ in range(1024):
            bus.publish_nowait(note())
        for _ in range(2):
            with pytest.raises(DeadlineExceeded, match=r"it is paused: disk_full\) within 0\.05 s"):
                await bus.publish(note())
        assert ledger.subscription.statistics().paused == "disk_full"
    ledger.commit()
    await bus.publish(note("and on"))
    ledger.commit()
    assert [each.seq for each in ledger.events] == list(range(1, 1026)), "nothing is dropped"


async def test_a_store_that_takes_nothing_without_a_word_is_cut_off_and_nothing_goes_on() -> None:
    bus = make_bus(block_s=0.05)
    ledger = Ledger(bus)
    for _ in range(1024):
        bus.publish_nowait(note())
    with pytest.raises(StorageError, match="ledger takes no more events"):
        await bus.publish(note())
    with pytest.raises(CutOffError, match="it took nothing for"):
        ledger.commit()
    assert bus.last_seq == 1024


async def test_a_cursor_advances_over_committed_events_only() -> None:
    bus = make_bus()
    ledger = Ledger(bus)
    socket = bus.subscribe("socket", policy=Policy.DISCONNECT)
    for number in range(3):
        await bus.publish(note(number))
    assert len(socket.drain_nowait()) == 3
    assert (socket.seen, socket.cursor) == (3, 0)
    ledger.commit()
    assert (socket.seen, socket.cursor) == (3, 3)


async def test_a_number_that_a_kill_gave_to_another_event_is_read_again_from_the_cursor() -> None:
    killed = make_bus()
    before = Ledger(killed)
    socket = killed.subscribe("socket", policy=Policy.DISCONNECT)
    await killed.publish(note("kept"))
    before.commit()
    await killed.publish(note("lost by the kill"))
    assert texts(socket) == ["kept", "lost by the kill"]
    cursor = socket.cursor

    bus = Bus(12, ManualClock(), last_seq=before.committed_seq)
    after = Ledger(bus)
    after.events, after.committed_seq = before.events, before.committed_seq
    await bus.publish(note("another under its number"))
    after.commit()
    with bus.subscribe("socket", policy=Policy.DISCONNECT, from_seq=cursor + 1) as again:
        envelope = await anext(again)
    assert (envelope.seq, envelope.event) == (2, note("another under its number"))


async def test_a_listener_by_lanes_has_no_cursor() -> None:
    listener = make_bus().subscribe("tui", policy=Policy.COALESCE)
    with pytest.raises(ValueError, match="tui listens by lanes"):
        _ = listener.cursor
