"""Work goes round in slots: bounded, and consumed in the order of the slots."""

from __future__ import annotations

import random

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st

from altlas_agent.core.work import WorkBuffer


async def test_reserve_waits_while_every_slot_is_in_use_and_the_learner_frees_it() -> None:
    buffer: WorkBuffer[str] = WorkBuffer(2)
    reserved: set[int] = set()

    async def pick() -> None:
        for _ in range(3):
            reserved.add(await buffer.reserve())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pick)
        await wait_all_tasks_blocked()
        buffer.put_result(0, "a")
        assert await buffer.next_result() == (0, "a")
        await wait_all_tasks_blocked()
        assert reserved == {0, 1}, "a slot that is being learned from is still in use"
        assert buffer.statistics().waiting_pickers == 1
        buffer.release(0)
    assert reserved == {0, 1, 2}


async def test_a_result_that_arrives_early_waits_for_its_turn() -> None:
    buffer: WorkBuffer[str] = WorkBuffer(3)
    for _ in range(3):
        await buffer.reserve()
    buffer.put_result(2, "c")
    buffer.put_result(1, "b")
    with pytest.raises(anyio.WouldBlock):
        buffer.next_result_nowait()
    buffer.put_result(0, "a")
    assert [await buffer.next_result() for _ in range(3)] == [(0, "a"), (1, "b"), (2, "c")]


async def test_the_learner_wakes_when_the_result_it_waits_for_arrives() -> None:
    buffer: WorkBuffer[None] = WorkBuffer(2)
    learned: list[int] = []

    async def learn() -> None:
        async for slot, _ in buffer:
            learned.append(slot)
            buffer.release(slot)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(learn)
        first, second = await buffer.reserve(), await buffer.reserve()
        await wait_all_tasks_blocked()
        buffer.put_result(second, None)
        await wait_all_tasks_blocked()
        assert learned == []
        buffer.put_result(first, None)
        buffer.close()
    assert learned == [0, 1]


async def test_a_slot_that_is_given_up_is_skipped() -> None:
    buffer: WorkBuffer[str] = WorkBuffer(3)
    got: list[tuple[int, str]] = []

    async def learn() -> None:
        got.append(await buffer.next_result())

    async with anyio.create_task_group() as tasks:
        for _ in range(3):
            await buffer.reserve()
        tasks.start_soon(learn)
        buffer.put_result(1, "b")
        await wait_all_tasks_blocked()
        buffer.release(0)
    assert got == [(1, "b")]


async def test_closing_lets_what_is_under_way_arrive_and_then_ends() -> None:
    buffer: WorkBuffer[str] = WorkBuffer(3)
    slot = await buffer.reserve()
    buffer.close()
    with pytest.raises(anyio.ClosedResourceError):
        await buffer.reserve()
    buffer.put_result(slot, "last")
    assert [value async for _, value in buffer] == ["last"]


async def test_closing_wakes_a_waiting_picker() -> None:
    buffer: WorkBuffer[str] = WorkBuffer(1)

    async def pick() -> None:
        await buffer.reserve()
        with pytest.raises(anyio.ClosedResourceError):
            await buffer.reserve()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(pick)
        await wait_all_tasks_blocked()
        buffer.close()


def test_a_slot_takes_one_result_and_is_freed_once() -> None:
    buffer: WorkBuffer[str] = WorkBuffer(1)
    slot = buffer.reserve_nowait()
    buffer.put_result(slot, "a")
    with pytest.raises(ValueError, match="slot 0 waits for no result"):
        buffer.put_result(slot, "again")
    buffer.release(slot)
    with pytest.raises(ValueError, match="slot 0 is not in use"):
        buffer.release(slot)


def test_a_buffer_without_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="capacity of 1 or more"):
        WorkBuffer[str](0)


def test_statistics_tell_where_the_work_is() -> None:
    buffer: WorkBuffer[str] = WorkBuffer(4)
    for _ in range(4):
        buffer.reserve_nowait()
    buffer.put_result(0, "a")
    buffer.put_result(1, "b")
    buffer.next_result_nowait()
    buffer.release(3)
    told = buffer.statistics()
    assert (told.reserved, told.ready, told.taken, told.reserved_ever, told.released_ever) == (1, 1, 1, 4, 1)


async def run_loop(*, capacity: int, num_items: int, num_workers: int, seed: int) -> list[tuple[int, int]]:
    """The whole loop, with workers that finish in a random order; returns what the learner saw."""
    buffer: WorkBuffer[int] = WorkBuffer(capacity)
    to_work, work = anyio.create_memory_object_stream[int](num_items)
    delays = random.Random(seed)
    seen: list[tuple[int, int]] = []

    async def pick() -> None:
        with to_work:
            for _ in range(num_items):
                to_work.send_nowait(await buffer.reserve())
        buffer.close()

    async def labour() -> None:
        async for slot in work:
            for _ in range(delays.randrange(5)):
                await checkpoint()
            buffer.put_result(slot, slot * 10)

    async def learn() -> None:
        async for slot, value in buffer:
            seen.append((slot, value))
            assert slot - buffer.statistics().released_ever < capacity
            buffer.release(slot)

    async with anyio.create_task_group() as tasks:
        for task in (pick, learn, *[labour] * num_workers):
            tasks.start_soon(task)
    work.close()
    return seen


@given(
    shape=st.fixed_dictionaries(
        {"capacity": st.integers(1, 6), "num_items": st.integers(0, 20), "num_workers": st.integers(1, 4)}
    ),
    seed=st.integers(0, 2**32),
    backend=st.sampled_from(["asyncio", "trio"]),
)
@settings(max_examples=40, deadline=None)
def test_results_come_in_slot_order_whatever_the_order_of_arrival(
    shape: dict[str, int], seed: int, backend: str
) -> None:
    async def main() -> list[tuple[int, int]]:
        return await run_loop(**shape, seed=seed)

    assert anyio.run(main, backend=backend) == [(slot, slot * 10) for slot in range(shape["num_items"])]
