"""How it ends: durable events are read and kept, gauges are not waited for, who hangs is named, nothing stays."""

from __future__ import annotations

import gc
import logging
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.bus.policies import Policy
from altlas_agent.core.clock import SystemClock
from altlas_agent.core.errors import CutOffError
from altlas_agent.core.records import Record
from tests.core.bus.conftest import make_bus, note, progress, stored, texts
from tests.core.bus.test_durable import Ledger, on_disk

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from altlas_agent.core.bus.subscription import Subscription


class Ping(Record):
    """What is asked and answered here."""


async def test_closing_ends_every_listener_after_what_is_durable() -> None:
    bus = make_bus()
    seen: list[int] = []

    async def listen() -> None:
        seen.extend([envelope.seq async for envelope in listener])

    listener = bus.subscribe("recorder", policy=Policy.BLOCK)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await wait_all_tasks_blocked()
        for _ in range(3):
            await bus.publish(note())
        bus.close()
    assert seen == [1, 2, 3]
    with pytest.raises(anyio.ClosedResourceError):
        await bus.publish(note())
    assert await listener.receive_batch() == []


@pytest.mark.parametrize("policy", Policy)
async def test_closing_drops_what_is_ephemeral_and_keeps_the_order_of_the_rest(policy: Policy) -> None:
    bus = make_bus()
    listener = bus.subscribe("any", policy=policy, key=repr)
    for event in (progress(1), note("a"), progress(2), note("b")):
        await bus.publish(event)
    bus.close()
    told = listener.statistics()
    assert (told.queued, told.discarded) == (2, 2)
    assert texts(listener) == ["a", "b"]


async def test_a_publisher_that_waits_is_told_of_the_end() -> None:
    bus = make_bus()
    bus.subscribe("stuck", policy=Policy.BLOCK, capacity=1)
    await bus.publish(note())

    async def publish() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await bus.publish(note())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(publish)
        await wait_all_tasks_blocked()
        bus.close()
    assert bus.last_seq == 1


async def test_aclose_returns_when_everything_is_read_and_committed(tmp_path: Path) -> None:
    path = tmp_path / "altlas.db"
    heard: list[int] = []

    async def listen(bus: Bus) -> None:
        with bus.subscribe("log", policy=Policy.DROP_OLDEST) as listener:
            async for envelope in listener:
                await anyio.sleep(0.001)
                heard.append(envelope.seq)

    async with anyio.create_task_group() as tasks, stored(path) as (bus, _):
        tasks.start_soon(listen, bus)
        await wait_all_tasks_blocked()
        for number in range(100):
            await bus.publish(note(number))
        assert await bus.aclose() == ()
        assert on_disk(path) == [str(number) for number in range(100)]
        assert len(heard) >= 99, "the last one is in the hands of its reader"


async def test_aclose_names_who_hangs_and_takes_less_than_two_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bus = make_bus()
    prompt = bus.subscribe("prompt", policy=Policy.DROP_OLDEST)
    hung = bus.subscribe("hung", policy=Policy.BLOCK)
    await bus.publish(note())
    assert texts(prompt) == [""]
    began = time.monotonic()
    with caplog.at_level(logging.ERROR):
        assert await bus.aclose() == ("hung",)
    assert time.monotonic() - began < 2.0
    assert "hung was cut off the bus: it did not take the rest within 1.9 s of the end" in caplog.text
    with pytest.raises(CutOffError):
        await anext(hung)


async def test_aclose_names_a_store_that_does_not_commit() -> None:
    bus = make_bus()
    ledger = Ledger(bus)
    await bus.publish(note())
    ledger.subscription.drain_nowait()
    assert await bus.aclose(timeout_s=0.02) == ("ledger",)


async def test_nobody_is_left_waiting_when_an_idle_bus_ends() -> None:
    bus = make_bus()
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for policy in Policy:
                tasks.start_soon(anext, bus.subscribe(policy, policy=policy), None)
            await wait_all_tasks_blocked()
            assert await bus.aclose() == ()


async def test_a_thousand_lives_leave_no_task_no_file_and_no_memory(anyio_backend_name: str) -> None:
    async def live() -> None:
        bus = Bus(1, SystemClock())
        async with anyio.create_task_group() as tasks:
            for policy in Policy:
                tasks.start_soon(read, bus.subscribe(policy, policy=policy))
            await tasks.start(answer, bus)
            await bus.publish(note())
            await bus.publish(progress(1))
            await bus.asks.ask("echo", Ping(), Ping, timeout_s=5.0)
            assert await bus.aclose() == ()

    async def read(subscription: Subscription) -> None:
        with subscription:
            async for _ in subscription:
                pass

    async def answer(bus: Bus, *, task_status: TaskStatus[None]) -> None:
        with bus.asks.serve("echo") as desk:
            task_status.started()
            async for question in desk:
                question.answer(question.message)

    for _ in range(20):
        await live()
    before = _counts(anyio_backend_name)
    for _ in range(1000):
        await live()
    assert _counts(anyio_backend_name) == before


def _counts(backend: str) -> tuple[int, int, int]:
    """Tasks, open files, and buses that are still in memory."""
    gc.collect()
    if backend == "trio":
        import trio

        tasks = trio.lowlevel.current_statistics().tasks_living
    else:
        import asyncio

        tasks = len(asyncio.all_tasks())
    buses = sum(type(each) is Bus for each in gc.get_objects())  # isinstance asks objects that answer oddly
    return tasks, len(list(Path("/proc/self/fd").iterdir())), buses


async def test_a_stopped_listener_costs_no_memory_however_much_is_announced() -> None:
    bus = make_bus()
    bus.subscribe("stopped", policy=Policy.COALESCE)
    bus.subscribe("stopped too", policy=Policy.DROP_OLDEST)
    tail = bus.subscribe("tail", policy=Policy.DROP_OLDEST)

    async def publish(count: int) -> None:
        for number in range(count):
            await bus.publish(note(number))
            await bus.publish(progress(number))
            tail.drain_nowait()

    await publish(5_000)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    await publish(50_000)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 5 * 1024
    assert bus.statistics().dropped > 0
