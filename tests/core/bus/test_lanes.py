"""Control goes before data and data before telemetry; within a lane nothing is overtaken, and nothing starves."""

from __future__ import annotations

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from altlas_agent.core.bus.buffers import SLOTS
from altlas_agent.core.bus.policies import CONTROL_EVENTS, Policy
from altlas_agent.core.events import Lane
from tests.core.bus.conftest import lost, make_bus, note, progress, texts, words


@pytest.mark.parametrize("policy", [Policy.BLOCK, Policy.DROP_OLDEST, Policy.COALESCE])
async def test_control_goes_before_data_before_telemetry_and_each_keeps_its_order(policy: Policy) -> None:
    bus = make_bus()
    listener = bus.subscribe("all", policy=policy, key=id)
    for event in (progress(1), note("a"), lost("x"), progress(2), note("b"), lost("y")):
        await bus.publish(event)
    assert texts(listener) == ["!x", "!y", "a", "b", "p1", "p2"]


async def test_data_has_one_slot_of_eight_while_control_floods() -> None:
    bus = make_bus()
    listener = bus.subscribe("all", policy=Policy.BLOCK)
    for number in range(3):
        bus.publish_nowait(note(number))
    for number in range(40):
        bus.publish_nowait(lost(number))
    lanes = [envelope.event.lane for envelope in listener.drain_nowait()]
    while Lane.DATA in lanes:
        assert Lane.DATA in lanes[:SLOTS]
        lanes = lanes[lanes.index(Lane.DATA) + 1 :]


async def test_control_taken_while_no_data_waited_is_not_held_against_it() -> None:
    bus = make_bus()
    listener = bus.subscribe("all", policy=Policy.BLOCK)
    for number in range(20):
        bus.publish_nowait(lost(number))
    listener.drain_nowait()
    bus.publish_nowait(note("a"))
    bus.publish_nowait(lost("x"))
    assert texts(listener) == ["a", "!x"], "data waited for its slot long enough"
    bus.publish_nowait(note("b"))
    bus.publish_nowait(lost("y"))
    assert texts(listener) == ["!y", "b"]


async def test_a_listener_in_order_gets_the_one_order() -> None:
    bus = make_bus()
    listener = bus.subscribe("recorder", policy=Policy.BLOCK, in_order=True)
    for event in (progress(1), note("a"), lost("x"), progress(2), note("b"), lost("y")):
        await bus.publish(event)
    assert texts(listener) == ["p1", "a", "!x", "p2", "b", "!y"]


async def test_who_can_be_resumed_listens_in_order() -> None:
    bus = make_bus()
    listener = bus.subscribe("socket", policy=Policy.DISCONNECT)
    for event in (note("a"), lost("x")):
        await bus.publish(event)
    assert texts(listener) == ["a", "!x"]


@pytest.mark.parametrize("in_order", [True, False])
async def test_control_finds_room_where_data_has_to_wait(*, in_order: bool) -> None:
    bus = make_bus()
    recorder = bus.subscribe("recorder", policy=Policy.BLOCK, capacity=4, in_order=in_order)
    supervisor = bus.subscribe("supervisor", policy=Policy.DROP_OLDEST)
    for number in range(4):
        bus.publish_nowait(note(number))
    with pytest.raises(anyio.WouldBlock):
        bus.publish_nowait(note(4))
    supervisor.drain_nowait()
    bus.publish_nowait(lost("x"))
    assert texts(supervisor) == ["!x"]
    assert recorder.statistics().queued == 5


async def test_room_for_control_is_bounded_too() -> None:
    bus = make_bus()
    bus.subscribe("recorder", policy=Policy.BLOCK, capacity=1)
    for number in range(1 + CONTROL_EVENTS):
        bus.publish_nowait(lost(number))
    with pytest.raises(anyio.WouldBlock):
        bus.publish_nowait(lost("more"))


async def test_control_comes_next_however_much_data_is_queued() -> None:
    bus = make_bus()
    listener = bus.subscribe("all", policy=Policy.BLOCK)
    heard: list[str] = []

    async def listen() -> None:
        async for envelope in listener:
            heard.extend(words([envelope]))
            if len(heard) == 100:
                bus.publish_nowait(lost("x"))

    for number in range(1000):
        bus.publish_nowait(note(number))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await wait_all_tasks_blocked()
        bus.close()
    assert heard.index("!x") == 100
