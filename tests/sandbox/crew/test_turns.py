"""Turns: bounded, fair between callers, given back when nobody wants them."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from altlas_agent.sandbox.crew.turns import Turns


async def _settled() -> None:
    for _ in range(20):
        await checkpoint()


async def test_no_more_than_the_limit_are_in_flight() -> None:
    turns, most = Turns(3), 0

    async def one(caller: str) -> None:
        nonlocal most
        async with turns.turn(caller):
            most = max(most, turns.in_flight)
            await checkpoint()

    async with anyio.create_task_group() as tasks:
        for number in range(20):
            tasks.start_soon(one, str(number % 4))
    assert (most, turns.in_flight, turns.waiting) == (3, 0, 0)


async def test_a_crowd_delays_a_single_request_by_one_turn() -> None:
    turns, order = Turns(1), list[str]()

    async def one(caller: str) -> None:
        async with turns.turn(caller):
            order.append(caller)
            await _settled()

    async with anyio.create_task_group() as tasks:
        for _ in range(50):
            tasks.start_soon(one, "crowd")
        await _settled()
        tasks.start_soon(one, "single")
    assert order.index("single") <= 3


async def test_three_callers_take_turns() -> None:
    turns, order = Turns(1), list[str]()

    async def one(caller: str) -> None:
        async with turns.turn(caller):
            order.append(caller)

    async with turns.turn("first"), anyio.create_task_group() as tasks:
        for caller in "aaabbc":
            tasks.start_soon(one, caller)
        await _settled()
        turns.limit = 2
    assert sorted(order[:3]) == ["a", "b", "c"]
    assert sorted(order) == list("aaabbc")


async def test_who_is_cancelled_leaves_the_queue_and_holds_no_turn() -> None:
    turns = Turns(1)
    async with turns.turn("holder"):
        with anyio.move_on_after(0.05) as scope:
            async with turns.turn("impatient"):
                pytest.fail("there was no turn to have")
        assert scope.cancelled_caught
        assert turns.waiting == 0
    assert turns.in_flight == 0
    async with turns.turn("next"):
        assert turns.in_flight == 1
