"""The promises of the bus: one order, bounded queues, and nobody but a BLOCK listener holds it up."""

from __future__ import annotations

import anyio
import pytest
from anyio import wait_all_tasks_blocked
from anyio.lowlevel import checkpoint
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.bus import Bus, Policy, Subscription
from altlas_agent.core.clock import ManualClock
from altlas_agent.core.errors import DeadlineExceeded
from altlas_agent.core.events import AnyEvent, GroupDropped, Note, Progress, RunEnded, TaskSolved


def bus(block_s: float = 30.0) -> Bus:
    return Bus(12, ManualClock(monotonic_ns=5, wall_ns=7), block_s=block_s)


def note(text: object = "") -> Note:
    return Note(level="info", text=str(text))


def progress(attempts: int) -> Progress:
    return Progress(attempts=attempts, solved=0, best_score=0.0, attempts_per_s=1.0)


def texts(subscription: Subscription) -> list[str]:
    return [each.event.text for each in subscription.drain_nowait() if isinstance(each.event, Note)]


async def test_durable_events_are_numbered_without_gaps_for_every_listener() -> None:
    it = bus()
    listeners = [it.subscribe(name) for name in ("recorder", "tui")]
    for number in range(10):
        await it.publish(note(number))
    for listener in listeners:
        assert [each.seq for each in listener.drain_nowait()] == list(range(1, 11))


async def test_an_envelope_says_when_and_why() -> None:
    it = bus()
    listener = it.subscribe("recorder")
    await it.publish(note())
    told = await it.publish(note("effect"), cause_seq=1)
    assert (told.run_id, told.seq, told.monotonic_ns, told.wall_ns, told.cause_seq) == (12, 2, 5, 7, 1)
    assert listener.drain_nowait()[1] is told


async def test_ephemeral_events_take_no_number() -> None:
    it = bus()
    published = [await it.publish(event) for event in (progress(1), note(), progress(2), note(), progress(3))]
    assert [(each.seq, each.ephemeral_seq) for each in published] == [(0, 1), (1, 0), (1, 2), (2, 0), (2, 3)]


async def test_a_bus_goes_on_counting_where_a_resumed_run_stopped() -> None:
    assert (await Bus(1, ManualClock(), last_seq=41).publish(note())).seq == 42


async def test_a_listener_gets_only_the_types_it_asked_for() -> None:
    it = bus()
    listener = it.subscribe("gauge", types=[Progress])
    await it.publish(note())
    await it.publish(progress(1))
    assert [type(each.event) for each in listener.drain_nowait()] == [Progress]


async def test_drop_oldest_keeps_the_newest_and_counts_the_rest() -> None:
    it = bus()
    listener = it.subscribe("tail", policy=Policy.DROP_OLDEST, capacity=3)
    for number in range(10):
        await it.publish(note(number))
    assert listener.statistics().dropped == 7
    assert texts(listener) == ["7", "8", "9"]


async def test_coalesce_keeps_the_latest_of_each_key_in_order_of_publication() -> None:
    it = bus()
    listener = it.subscribe("tui", policy=Policy.COALESCE)
    for event in (progress(1), note("a"), progress(2), note("b"), progress(3)):
        await it.publish(event)
    assert [each.event for each in listener.drain_nowait()] == [note("b"), progress(3)]
    assert listener.statistics().coalesced == 3
    assert listener.statistics().dropped == 0


async def test_coalesce_takes_a_key_of_ones_own_and_stays_bounded() -> None:
    def by_text(event: AnyEvent) -> object:
        return event.text[0] if isinstance(event, Note) else None

    it = bus()
    listener = it.subscribe("tui", policy=Policy.COALESCE, capacity=2, key=by_text)
    for text in ("a1", "b1", "a2", "c1"):
        await it.publish(note(text))
    assert listener.statistics().dropped == 1
    assert texts(listener) == ["a2", "c1"]


async def test_a_full_block_queue_holds_the_publisher_until_its_reader_takes_one() -> None:
    it = bus()
    recorder = it.subscribe("recorder", policy=Policy.BLOCK, capacity=2)
    tail = it.subscribe("tail", policy=Policy.DROP_OLDEST, capacity=9)

    async def publish_all() -> None:
        for number in range(4):
            await it.publish(note(number))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(publish_all)
        await wait_all_tasks_blocked()
        assert it.statistics().waiting_publishers == 1
        assert texts(tail) == ["0", "1"], "nobody gets an event that the recorder has no room for"
        assert (await anext(recorder)).seq == 1
        await wait_all_tasks_blocked()
        assert texts(tail) == ["2"]
        recorder.drain_nowait()
    assert recorder.statistics().dropped == 0
    assert texts(recorder) == ["3"]


async def test_a_listener_that_blocks_too_long_is_named() -> None:
    it = bus(block_s=0.05)
    it.subscribe("recorder", policy=Policy.BLOCK, capacity=1)
    await it.publish(note())
    with pytest.raises(DeadlineExceeded, match=r"recorder did not answer the bus .* within 0\.05 s"):
        await it.publish(note())
    assert it.statistics().durable == 1, "an event that nobody got takes no number"


async def test_publish_nowait_would_block_and_then_nobody_gets_the_event() -> None:
    it = bus()
    it.subscribe("recorder", policy=Policy.BLOCK, capacity=1)
    tail = it.subscribe("tail", policy=Policy.DROP_OLDEST)
    it.publish_nowait(note("in"))
    with pytest.raises(anyio.WouldBlock):
        it.publish_nowait(note("out"))
    assert texts(tail) == ["in"]


async def test_a_block_queue_holds_up_only_the_types_it_wants() -> None:
    it = bus()
    it.subscribe("recorder", types=[RunEnded], capacity=1)
    for _ in range(2):
        it.publish_nowait(note())


async def test_a_listener_that_leaves_frees_the_publisher() -> None:
    it = bus()
    recorder = it.subscribe("recorder", capacity=1)
    await it.publish(note())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(it.publish, note())
        await wait_all_tasks_blocked()
        recorder.close()
    assert it.statistics().durable == 2
    assert recorder.drain_nowait() == []


async def test_closing_the_bus_ends_every_listener_after_what_is_queued() -> None:
    it = bus()
    seen: list[int] = []

    async def listen() -> None:
        seen.extend([envelope.seq async for envelope in listener])

    listener = it.subscribe("recorder")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await wait_all_tasks_blocked()
        for _ in range(3):
            await it.publish(note())
        it.close()
    assert seen == [1, 2, 3]
    with pytest.raises(anyio.ClosedResourceError):
        await it.publish(note())
    assert await listener.receive_batch() == []


async def test_a_batch_waits_for_one_event_and_takes_what_is_there() -> None:
    it = bus()
    listener = it.subscribe("recorder")
    batches: list[list[int]] = []

    async def listen() -> None:
        while batch := await listener.receive_batch(max_events=2):
            batches.append([each.seq for each in batch])

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(listen)
        await wait_all_tasks_blocked()
        for _ in range(3):
            it.publish_nowait(note())
        it.close()
    assert batches == [[1, 2], [3]]


async def test_a_full_queue_does_not_starve_the_loop() -> None:
    it = bus()
    listener = it.subscribe("recorder")
    for _ in range(1000):
        it.publish_nowait(note())
    it.close()
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


async def test_what_is_no_event_is_refused_at_publish() -> None:
    it = bus()
    with pytest.raises(TypeError, match="not an event: str"):
        await it.publish("hello")  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(ValueError, match="not an event: Bus"):
        it.subscribe("odd", types=[Bus])  # type: ignore[list-item]  # the mistake under test


async def test_a_name_is_used_once_and_is_free_again_after_closing() -> None:
    it = bus()
    with it.subscribe("tui"), pytest.raises(ValueError, match="two subscriptions named 'tui'"):
        it.subscribe("tui")
    it.subscribe("tui")


async def test_statistics_tell_how_each_listener_fares() -> None:
    it = bus()
    recorder = it.subscribe("recorder", capacity=8)
    for event in (note(), note(), progress(1)):
        await it.publish(event)
    await anext(recorder)
    told = it.statistics()
    assert (told.durable, told.ephemeral, told.waiting_publishers) == (2, 1, 0)
    (one,) = told.subscriptions
    assert (one.name, one.queued, one.most_queued, one.delivered, one.dropped) == ("recorder", 2, 3, 1, 0)


EVENTS = st.sampled_from(
    [
        note("a"),
        note("b"),
        progress(1),
        GroupDropped(group=1, reason="r"),
        TaskSolved(task_key="s/t", attempt_number=1, code=""),
    ]
)


@given(st.lists(EVENTS | st.none(), max_size=60), st.integers(1, 5))
def test_every_listener_sees_what_it_keeps_in_order_and_the_counts_add_up(
    script: list[AnyEvent | None], capacity: int
) -> None:
    it = bus()
    listeners = [it.subscribe(policy, policy=policy, capacity=capacity) for policy in list(Policy)[1:]]
    seen: dict[str, list[tuple[int, int]]] = {each.name: [] for each in listeners}

    def read() -> None:
        for each in listeners:
            seen[each.name] += [(envelope.seq, envelope.ephemeral_seq) for envelope in each.drain_nowait()]

    order: list[tuple[int, int]] = []
    for event in script:
        if event is None:
            read()
        else:
            envelope = it.publish_nowait(event)
            order.append((envelope.seq, envelope.ephemeral_seq))
    read()
    for told in it.statistics().subscriptions:
        kept = seen[told.name]
        assert kept == [place for place in order if place in kept]
        assert len(kept) + told.dropped + told.coalesced == len(order)
        assert told.most_queued <= capacity
    assert [seq for seq, ephemeral in order if not ephemeral] == list(range(1, it.statistics().durable + 1))
