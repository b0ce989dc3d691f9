"""What happens when a buffer is full: bounded in events and bytes, and as its listener declared."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint
from trio.testing import MockClock

from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.bus.packing import MAX_PAYLOAD_BYTES
from altlas_agent.core.bus.policies import CAPACITY, MAX_BYTES, Policy
from altlas_agent.core.clock import ManualClock
from altlas_agent.core.errors import CutOffError, DeadlineExceeded
from altlas_agent.core.events import AnyEvent, EventsDropped, ListenerCut, Note, Progress, RunEnded
from tests.core.bus.conftest import lost, make_bus, note, progress, texts, words

if TYPE_CHECKING:
    from altlas_agent.core.bus.subscription import Subscription
    from altlas_agent.core.events import Envelope

FILLING = "x" * 200_000
FACTS = (Note, Progress)


def of(kind: type[AnyEvent], listener: Subscription) -> list[AnyEvent]:
    return [each.event for each in listener.drain_nowait() if isinstance(each.event, kind)]


async def test_drop_oldest_keeps_the_newest_and_counts_the_rest() -> None:
    bus = make_bus()
    listener = bus.subscribe("tail", policy=Policy.DROP_OLDEST, capacity=3)
    for number in range(10):
        await bus.publish(note(number))
    assert listener.statistics().dropped == bus.statistics().dropped == 7
    assert texts(listener) == ["7", "8", "9"]


async def test_the_oldest_of_the_least_urgent_lane_goes_first() -> None:
    bus = make_bus()
    listener = bus.subscribe("tail", policy=Policy.DROP_OLDEST, capacity=4)
    for event in (
        lost("x"),
        progress(1),
        note("a"),
        progress(2),
        note("b"),
        note("c"),
        note("d"),
        progress(3),
    ):
        await bus.publish(event)
    assert texts(listener) == ["!x", "b", "c", "d"]


async def test_coalesce_keeps_the_latest_of_each_key_in_order_of_publication() -> None:
    bus = make_bus()
    listener = bus.subscribe("tui", policy=Policy.COALESCE, in_order=True)
    for event in (progress(1), note("a"), progress(2), note("b"), progress(3)):
        await bus.publish(event)
    assert texts(listener) == ["b", "p3"]
    assert (listener.statistics().coalesced, listener.statistics().dropped) == (3, 0)


async def test_coalesce_takes_a_key_of_ones_own_and_stays_bounded() -> None:
    def first_letter(event: AnyEvent) -> object:
        return event.text[0] if isinstance(event, Note) else None

    bus = make_bus()
    listener = bus.subscribe("tui", policy=Policy.COALESCE, capacity=2, key=first_letter, types=FACTS)
    for text in ("a1", "b1", "a2", "c1"):
        await bus.publish(note(text))
    assert listener.statistics().dropped == 1
    assert texts(listener) == ["a2", "c1"]


async def test_coalesce_keeps_one_of_a_key_that_spans_lanes() -> None:
    bus = make_bus()
    listener = bus.subscribe("tui", policy=Policy.COALESCE, key=lambda _: "all the same")
    for event in (lost("x"), note("a"), progress(1)):
        await bus.publish(event)
    assert texts(listener) == ["p1"]


@pytest.mark.parametrize("policy", Policy)
async def test_without_a_word_a_buffer_holds_1024_events(policy: Policy) -> None:
    bus = make_bus()
    listener = bus.subscribe("any", policy=policy, key=repr)
    for number in range(CAPACITY):
        bus.publish_nowait(note(number))
    assert (CAPACITY, listener.statistics().queued) == (1024, 1024)
    if policy is Policy.BLOCK:
        with pytest.raises(anyio.WouldBlock):
            bus.publish_nowait(note("more"))
    else:
        bus.publish_nowait(note("more"))
    assert listener.statistics().queued <= 1024


@pytest.mark.parametrize("policy", Policy)
async def test_without_a_word_a_buffer_holds_8_mebibytes(policy: Policy) -> None:
    bus = make_bus()
    listener = bus.subscribe("any", policy=policy, key=id)
    kept: list[Envelope] = []  # so that no id is used twice
    for _ in range(60):
        try:
            kept.append(bus.publish_nowait(note(FILLING)))
        except anyio.WouldBlock:
            assert policy is Policy.BLOCK
        assert listener.statistics().queued_bytes <= MAX_BYTES == 8 * 2**20
    assert listener.statistics().queued == (0 if policy is Policy.DISCONNECT else 41)


async def test_bounds_that_fit_no_event_are_refused() -> None:
    bus = make_bus()
    with pytest.raises(ValueError, match="a capacity of 1 or more, not 0"):
        bus.subscribe("none", policy=Policy.DROP_OLDEST, capacity=0)
    with pytest.raises(ValueError, match="max_bytes 262143 is below 262144"):
        bus.subscribe("small", policy=Policy.DROP_OLDEST, max_bytes=MAX_PAYLOAD_BYTES - 1)


async def test_losses_are_told_at_once_and_then_once_a_second() -> None:
    clock = ManualClock()
    bus = Bus(1, clock)
    bus.subscribe("tail", policy=Policy.DROP_OLDEST, capacity=2, types=FACTS)
    watch = bus.subscribe("watch", policy=Policy.DROP_OLDEST, types=[EventsDropped])
    for number in range(10):
        await bus.publish(note(number))
    assert of(EventsDropped, watch) == [EventsDropped(listener="tail", dropped=1, dropped_ever=1)]
    clock.advance(1.0)
    await bus.publish(note())
    assert of(EventsDropped, watch) == [EventsDropped(listener="tail", dropped=8, dropped_ever=9)]


async def test_telling_of_losses_causes_none() -> None:
    bus = make_bus()
    listener = bus.subscribe("tail", policy=Policy.DROP_OLDEST, capacity=2, in_order=True)
    bus.subscribe("recorder", policy=Policy.BLOCK, capacity=3)
    for number in range(3):
        await bus.publish(note(number))
    assert (texts(listener), listener.statistics().dropped) == (["1", "2"], 1)


async def test_losses_that_were_not_told_are_logged_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    bus = make_bus()
    bus.subscribe("tail", policy=Policy.DROP_OLDEST, capacity=2)
    for number in range(10):
        await bus.publish(note(number))
    with caplog.at_level(logging.WARNING):
        bus.close()
    assert "tail lost events" in caplog.text
    assert "dropped=7, dropped_ever=8" in caplog.text


async def test_a_full_block_buffer_holds_the_publisher_until_its_reader_takes_one() -> None:
    bus = make_bus()
    recorder = bus.subscribe("recorder", policy=Policy.BLOCK, capacity=2)
    tail = bus.subscribe("tail", policy=Policy.DROP_OLDEST, capacity=9)

    async def publish_all() -> None:
        for number in range(4):
            await bus.publish(note(number))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(publish_all)
        await wait_all_tasks_blocked()
        assert bus.statistics().waiting_publishers == 1
        assert texts(tail) == ["0", "1"], "nobody gets an event that the recorder has no room for"
        assert (await anext(recorder)).seq == 1
        await wait_all_tasks_blocked()
        assert texts(tail) == ["2"]
        recorder.drain_nowait()
    assert recorder.statistics().dropped == 0
    assert texts(recorder) == ["3"]


async def test_publish_nowait_would_block_and_then_nobody_gets_the_event() -> None:
    bus = make_bus()
    bus.subscribe("recorder", policy=Policy.BLOCK, capacity=1)
    tail = bus.subscribe("tail", policy=Policy.DROP_OLDEST)
    bus.publish_nowait(note("in"))
    with pytest.raises(anyio.WouldBlock):
        bus.publish_nowait(note("out"))
    assert texts(tail) == ["in"]


async def test_a_block_buffer_holds_up_only_the_types_it_wants() -> None:
    bus = make_bus()
    bus.subscribe("recorder", policy=Policy.BLOCK, types=[RunEnded], capacity=1)
    for _ in range(2):
        bus.publish_nowait(note())


async def test_a_block_listener_that_takes_nothing_is_cut_off_and_the_publisher_goes_on() -> None:
    bus = make_bus(block_s=0.05)
    stuck = bus.subscribe("stuck", policy=Policy.BLOCK, capacity=1)
    tail = bus.subscribe("tail", policy=Policy.DROP_OLDEST)
    await bus.publish(note(1))
    began = time.monotonic()
    await bus.publish(note(2))
    assert 0.04 < time.monotonic() - began < 1.0
    reason = "it took nothing for 0.05 s while a publisher waited for it"
    assert [each.event for each in tail.drain_nowait()] == [
        ListenerCut(listener="stuck", reason=reason),
        note(1),
        note(2),
    ]
    with pytest.raises(CutOffError, match=f"stuck was cut off the bus: {reason}"):
        await anext(stuck)
    assert bus.statistics().cut == 1


async def test_a_block_listener_that_is_only_slow_is_not_cut_off() -> None:
    bus = make_bus(block_s=0.1)
    slow = bus.subscribe("slow", policy=Policy.BLOCK, capacity=1)
    await bus.publish(note(1))

    async def take_one_and_let_others_have_the_room() -> None:
        await anyio.sleep(0.05)
        await anext(slow)
        bus.publish_nowait(note("other"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take_one_and_let_others_have_the_room)
        with pytest.raises(
            DeadlineExceeded, match=r"slow did not answer the bus .* it is slow\) within 0\.1 s"
        ):
            await bus.publish(note(2))
    assert texts(slow) == ["other"]


@pytest.mark.parametrize("anyio_backend", [("trio", {"clock": MockClock(autojump_threshold=0)})])
async def test_a_publisher_waits_for_half_a_minute_and_no_longer() -> None:
    bus = make_bus()
    bus.subscribe("stuck", policy=Policy.BLOCK, capacity=1)
    await bus.publish(note(1))
    began = anyio.current_time()
    await bus.publish(note(2))
    assert anyio.current_time() - began == pytest.approx(30.0)


async def test_a_listener_that_leaves_frees_the_publisher() -> None:
    bus = make_bus()
    recorder = bus.subscribe("recorder", policy=Policy.BLOCK, capacity=1)
    await bus.publish(note())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(bus.publish, note())
        await wait_all_tasks_blocked()
        recorder.close()
    assert bus.last_seq == 2
    assert recorder.drain_nowait() == []


async def test_a_reader_that_fails_does_not_fail_the_publisher() -> None:
    bus = make_bus()

    async def read_badly() -> None:
        with bus.subscribe("bad", policy=Policy.BLOCK, capacity=1) as listener:
            async for _ in listener:
                raise ZeroDivisionError

    with pytest.RaisesGroup(ZeroDivisionError):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read_badly)
            await wait_all_tasks_blocked()
            with anyio.CancelScope(shield=True):
                for number in range(10):
                    await bus.publish(note(number))
    assert bus.last_seq == 10


async def test_disconnect_cuts_off_a_listener_whose_buffer_is_full() -> None:
    bus = make_bus()
    socket = bus.subscribe("socket", policy=Policy.DISCONNECT, capacity=3, types=FACTS)
    assert words([bus.publish_nowait(note(number)) for number in range(3)]) == ["0", "1", "2"]
    assert (await anext(socket)).seq == 1
    for number in range(3, 6):
        await bus.publish(note(number))
    with pytest.raises(
        CutOffError, match=r"its buffer is full \(3 events, \d+ bytes\); begin again after event 1"
    ) as cut:
        await socket.receive_batch()
    assert cut.value.cursor == 1


async def test_disconnect_cuts_off_a_listener_that_took_nothing_for_ten_seconds() -> None:
    clock = ManualClock()
    bus = Bus(1, clock)
    socket = bus.subscribe("socket", policy=Policy.DISCONNECT)
    bus.publish_nowait(note(1))
    clock.advance(9.9)
    bus.publish_nowait(note(2))
    assert (await anext(socket)).seq == 1
    clock.advance(9.9)
    bus.publish_nowait(note(3))
    clock.advance(10.1)
    bus.publish_nowait(note(4))
    with pytest.raises(CutOffError, match="it took nothing for 10 s"):
        await anext(socket)


async def test_a_quiet_bus_cuts_off_nobody() -> None:
    clock = ManualClock()
    bus = Bus(1, clock)
    socket = bus.subscribe("socket", policy=Policy.DISCONNECT)
    for number in range(3):
        clock.advance(3600)
        bus.publish_nowait(note(number))
        assert texts(socket) == [str(number)]


async def test_a_batch_waits_for_one_event_and_takes_what_is_there() -> None:
    bus = make_bus()
    listener = bus.subscribe("recorder", policy=Policy.BLOCK)
    batches: list[list[int]] = []

    async def listen() -> None:
        while batch := await listener.receive_batch(max_events=2):
            batches.append([each.seq for each in batch])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await wait_all_tasks_blocked()
        for _ in range(3):
            bus.publish_nowait(note())
        bus.close()
    assert batches == [[1, 2], [3]]


async def test_a_full_queue_does_not_starve_the_loop() -> None:
    bus = make_bus()
    listener = bus.subscribe("recorder", policy=Policy.BLOCK)
    for _ in range(1000):
        bus.publish_nowait(note())
    bus.close()
    steps = 0

    async def breathe() -> None:
        nonlocal steps
        while listener.statistics().queued:
            steps += 1
            await checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(breathe)
        async for _ in listener:
            pass
    assert steps >= 10


async def test_a_publisher_without_a_pause_does_not_starve_its_listeners() -> None:
    bus = make_bus()
    tail = bus.subscribe("tail", policy=Policy.DROP_OLDEST)

    async def publish_all() -> None:
        for number in range(5000):
            await bus.publish(note(number))
        bus.close()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(publish_all)
        heard = [envelope.seq async for envelope in tail]
    assert heard == list(range(1, 5001))


async def test_a_subscription_has_one_reader() -> None:
    listener = make_bus().subscribe("one", policy=Policy.BLOCK)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anext, listener, None)
        await wait_all_tasks_blocked()
        with pytest.raises(anyio.BusyResourceError):
            await anext(listener)
        listener.close()


async def test_a_publisher_that_never_waits_can_be_cancelled() -> None:
    bus = make_bus()
    with anyio.move_on_after(0.02) as scope:
        while True:
            await bus.publish(progress(1))
    assert scope.cancelled_caught
