"""A listener may begin in the past: it reads the store, then hears what comes, without a gap or a repetition."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import anyio
import pytest

from altlas_agent.core.bus.policies import Policy
from altlas_agent.core.errors import CutOffError, StorageError
from altlas_agent.core.events import Envelope, Progress, WorkerLost, encode
from tests.core.bus.conftest import lost, make_bus, note, progress, stored, texts
from tests.core.bus.test_durable import Ledger

if TYPE_CHECKING:
    from pathlib import Path

    from altlas_agent.core.bus.bus import Bus
    from altlas_agent.core.bus.subscription import Subscription

LISTENERS, EACH = 50, 20
"""Together they switch from the store to live events a thousand times."""


async def take(listener: Subscription, count: int) -> list[Envelope]:
    """The next durable events."""
    found: list[Envelope] = []
    with anyio.fail_after(20):
        while len(found) < count:
            envelope = await anext(listener)
            found += [envelope] if envelope.event.durable else []
    return found


async def test_a_thousand_listeners_switch_anywhere_and_hear_everything_once(tmp_path: Path) -> None:
    dice = random.Random(5)
    announced: list[bytes] = []
    switches = 0

    async def publish(bus: Bus) -> None:
        number = 0
        while switches < LISTENERS * EACH:
            number += 1
            event = lost(number) if number % 7 == 0 else note("x" * dice.randrange(50))
            announced.append(encode(await bus.publish(event)))
            if number % 3 == 0:
                await bus.publish(progress(number))
            if dice.random() < 0.3:
                await anyio.sleep(dice.choice([0.0, 0.001, 0.004]))

    async def listen(bus: Bus, name: str) -> None:
        nonlocal switches
        for _ in range(EACH):
            start = dice.randint(max(1, bus.last_seq - 200), bus.last_seq + 1)
            policy = dice.choice([Policy.BLOCK, Policy.DISCONNECT, Policy.DROP_OLDEST])
            live, frames = dice.randint(1, 10), list[bytes]()
            with bus.subscribe(name, policy=policy, from_seq=start) as listener:
                while (told := listener.statistics()).delivered < told.replayed + live:
                    envelope = await anext(listener)
                    frames += [encode(envelope)] if envelope.event.durable else []
            assert frames == announced[start - 1 : start - 1 + len(frames)], f"from {start} by {policy}"
            switches += 1

    with anyio.fail_after(28):
        async with stored(tmp_path / "altlas.db") as (bus, _), anyio.create_task_group() as tasks:
            tasks.start_soon(publish, bus)
            for number in range(LISTENERS):
                tasks.start_soon(listen, bus, f"listener {number}")
    assert switches == 1000


async def test_live_and_replayed_events_are_the_same_bytes(tmp_path: Path) -> None:
    async with stored(tmp_path / "altlas.db") as (bus, _):
        live = bus.subscribe("live", policy=Policy.DISCONNECT)
        for number in range(20):
            await bus.publish(note(number), cause_seq=number or None)
        await bus.publish_durable(lost("x"))
        replayed = bus.subscribe("late", policy=Policy.DISCONNECT, from_seq=1)
        assert list(map(encode, await take(replayed, 21))) == list(map(encode, await take(live, 21)))
        assert replayed.statistics().replayed == 21


async def test_what_is_not_committed_yet_is_waited_for() -> None:
    bus = make_bus()
    ledger = Ledger(bus)
    await bus.publish(note(1))
    ledger.commit()
    await bus.publish(note(2))
    late = bus.subscribe("late", policy=Policy.DISCONNECT, from_seq=1)
    heard: list[int] = []

    async def listen() -> None:
        heard.extend([envelope.seq async for envelope in late])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        await bus.publish(note(3))
        await anyio.wait_all_tasks_blocked()
        assert heard == []
        assert late.statistics().is_replaying
        ledger.commit()
        await anyio.wait_all_tasks_blocked()
        assert not late.statistics().is_replaying
        bus.close()
    assert heard == [1, 2, 3]


@pytest.mark.parametrize("policy", [Policy.DROP_OLDEST, Policy.COALESCE, Policy.DISCONNECT])
async def test_a_flood_before_the_switch_is_read_from_the_store(policy: Policy) -> None:
    bus = make_bus()
    ledger = Ledger(bus)
    await bus.publish(note(1))
    late = bus.subscribe("late", policy=policy, from_seq=1, capacity=4, key=id)
    heard: list[int] = []

    async def listen() -> None:
        heard.extend([envelope.seq async for envelope in late])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await anyio.wait_all_tasks_blocked()
        for number in range(50):
            bus.publish_nowait(note(number))
        ledger.commit()
        await anyio.wait_all_tasks_blocked()
        bus.publish_nowait(note())
        await anyio.wait_all_tasks_blocked()
        bus.close()
    assert heard == list(range(1, 53))
    assert late.statistics().dropped == 0


async def test_a_long_past_costs_no_memory_and_holds_up_nobody() -> None:
    bus = make_bus(block_s=0.05)
    ledger = Ledger(bus)
    late = bus.subscribe("late", policy=Policy.BLOCK, from_seq=1, capacity=1)
    for _ in range(5):
        for _ in range(1000):
            await bus.publish(note())
        ledger.commit()
    assert late.statistics().most_queued == 0
    assert len(await take(late, 5000)) == 5000


async def test_who_begins_at_the_next_event_hears_it_and_no_other() -> None:
    bus = make_bus()
    ledger = Ledger(bus)
    await bus.publish(note("before"))
    ledger.commit()
    with bus.subscribe("next", policy=Policy.DISCONNECT, from_seq=2) as listener:
        assert listener.drain_nowait() == []
        await bus.publish(note("after"))
        ledger.commit()
        assert [each.event for each in await take(listener, 1)] == [note("after")]


async def test_a_listener_that_was_cut_off_resumes_from_its_cursor(tmp_path: Path) -> None:
    async with stored(tmp_path / "altlas.db") as (bus, _):
        socket = bus.subscribe("socket", policy=Policy.DISCONNECT, capacity=10)
        for number in range(5):
            await bus.publish(note(number))
        heard = await take(socket, 5)
        for number in range(5, 25):
            await bus.publish(note(number))
        with pytest.raises(CutOffError) as cut:
            await anext(socket)
        again = bus.subscribe("socket", policy=Policy.DISCONNECT, from_seq=cut.value.cursor + 1, capacity=10)
        heard += await take(again, 20)
    assert [each.seq for each in heard] == list(range(1, 26))


async def test_types_are_chosen_in_the_past_too(tmp_path: Path) -> None:
    async with stored(tmp_path / "altlas.db") as (bus, _):
        for number in range(600):
            await bus.publish(note(number))
        await bus.publish_durable(lost("x"))
        with bus.subscribe(
            "late", policy=Policy.DISCONNECT, from_seq=1, types=[WorkerLost, Progress]
        ) as late:
            assert [each.event for each in await take(late, 1)] == [lost("x")]


async def test_a_replay_ends_with_the_bus_and_not_before_the_last_event(tmp_path: Path) -> None:
    heard: list[int] = []

    async def listen(late: Subscription) -> None:
        heard.extend([envelope.seq async for envelope in late])

    async with anyio.create_task_group() as tasks, stored(tmp_path / "altlas.db") as (bus, _):
        for number in range(1000):
            await bus.publish(note(number))
        tasks.start_soon(listen, bus.subscribe("late", policy=Policy.DISCONNECT, from_seq=1))
        await anyio.lowlevel.checkpoint()
        bus.close()
    assert heard == list(range(1, 1001))


async def test_a_past_without_a_store_or_of_another_run_is_refused() -> None:
    bus = make_bus()
    with pytest.raises(StorageError, match="late wants events from 1 on, and no store keeps them"):
        bus.subscribe("late", policy=Policy.DISCONNECT, from_seq=1)
    Ledger(bus)
    for beyond in (0, 2):
        with pytest.raises(ValueError, match=f"late wants events from {beyond} on; the last one is 0"):
            bus.subscribe("late", policy=Policy.DISCONNECT, from_seq=beyond)
    assert bus.statistics().subscriptions[1:] == ()


async def test_a_gap_in_the_store_is_an_error() -> None:
    bus = make_bus()
    ledger = Ledger(bus)
    for number in range(3):
        await bus.publish(note(number))
    ledger.commit()
    del ledger.events[1]
    late = bus.subscribe("late", policy=Policy.DISCONNECT, from_seq=1)
    with pytest.raises(StorageError, match="ledger: events from 1 on are missing"):
        await anext(late)


async def test_a_listener_that_leaves_while_it_replays_leaves_nothing_behind(tmp_path: Path) -> None:
    async with stored(tmp_path / "altlas.db") as (bus, _):
        for number in range(1000):
            await bus.publish(note(number))
        with anyio.move_on_after(0.001), bus.subscribe("late", policy=Policy.BLOCK, from_seq=1) as late:
            await take(late, 5000)
        assert [each.name for each in bus.statistics().subscriptions] == ["recorder"]
        assert texts(late) == []
