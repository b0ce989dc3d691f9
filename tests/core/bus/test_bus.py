"""What is announced: typed, numbered in one order, and refused before anybody hears of it if it is unsound."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.bus.packing import MAX_PAYLOAD_BYTES, pack
from altlas_agent.core.bus.policies import Policy
from altlas_agent.core.clock import ManualClock
from altlas_agent.core.errors import EventRefused
from altlas_agent.core.events import (
    AnyEvent,
    GroupDropped,
    Lane,
    PolicyUpdated,
    Progress,
    TaskSolved,
    decode,
    encode,
)
from tests.core.bus.conftest import lost, make_bus, note, progress, texts

LOSSY = (Policy.DROP_OLDEST, Policy.COALESCE)


async def test_durable_events_are_numbered_without_gaps_for_every_listener() -> None:
    bus = make_bus()
    listeners = [bus.subscribe(name, policy=Policy.DROP_OLDEST) for name in ("log", "tui")]
    for number in range(10):
        await bus.publish(note(number))
    for listener in listeners:
        assert [each.seq for each in listener.drain_nowait()] == list(range(1, 11))


async def test_an_envelope_says_when_and_why() -> None:
    bus = make_bus()
    listener = bus.subscribe("log", policy=Policy.DROP_OLDEST)
    await bus.publish(note())
    told = await bus.publish(note("effect"), cause_seq=1)
    assert (told.run_id, told.seq, told.monotonic_ns, told.wall_ns, told.cause_seq) == (12, 2, 5, 7, 1)
    assert listener.drain_nowait()[1] is told


async def test_an_effect_does_not_come_before_its_cause() -> None:
    bus = make_bus()
    with pytest.raises(EventRefused, match="its cause 1 has not happened"):
        await bus.publish(note(), cause_seq=1)
    assert bus.last_seq == 0


async def test_ephemeral_events_take_no_number_of_the_gap_free_order() -> None:
    bus = make_bus()
    published = [
        await bus.publish(event) for event in (progress(1), note(), progress(2), note(), progress(3))
    ]
    assert [(each.seq, each.ephemeral_seq) for each in published] == [(0, 1), (1, 0), (1, 2), (2, 0), (2, 3)]


async def test_a_bus_goes_on_counting_where_a_resumed_run_stopped() -> None:
    assert (await Bus(1, ManualClock(), last_seq=41).publish(note())).seq == 42


async def test_a_listener_gets_only_the_types_it_asked_for() -> None:
    bus = make_bus()
    listener = bus.subscribe("gauge", policy=Policy.DROP_OLDEST, types=[Progress])
    await bus.publish(note())
    await bus.publish(progress(1))
    assert texts(listener) == ["p1"]


async def test_an_event_is_made_into_bytes_once_for_all() -> None:
    bus = make_bus()
    first, second = (bus.subscribe(name, policy=Policy.DROP_OLDEST) for name in ("store", "socket"))
    await bus.publish(note("x"))
    (one,), (two,) = first.drain_nowait(), second.drain_nowait()
    assert one.payload is two.payload
    assert one.payload in encode(one)
    assert decode(encode(one)) == one


async def test_what_is_no_event_is_refused_at_publish_and_at_subscribe() -> None:
    bus = make_bus()
    with pytest.raises(EventRefused, match="str was not announced: it is not an event"):
        await bus.publish("hello")  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(ValueError, match="not an event: Bus"):
        bus.subscribe("odd", policy=Policy.DROP_OLDEST, types=[Bus])  # type: ignore[list-item]  # the mistake


@pytest.mark.parametrize(
    "event",
    [
        GroupDropped(group="one", reason=""),  # type: ignore[arg-type]  # the mistakes under test
        PolicyUpdated(version=1, metrics={"loss": "high"}),  # type: ignore[dict-item]
        PolicyUpdated(version=1, metrics=object()),  # type: ignore[arg-type]
        note("\ud800"),
    ],
)
async def test_a_field_that_a_reader_would_refuse_is_refused_at_publish(event: AnyEvent) -> None:
    bus = make_bus()
    listener = bus.subscribe("log", policy=Policy.DROP_OLDEST)
    with pytest.raises(EventRefused, match="it cannot be read back"):
        await bus.publish(event)
    assert (bus.last_seq, texts(listener)) == (0, [])


def test_an_unknown_field_is_refused_before_there_is_an_event() -> None:
    with pytest.raises(TypeError, match="more"):
        note().__class__(level="info", text="", more=1)  # type: ignore[call-arg]  # the mistake under test


async def test_what_is_bigger_than_an_event_may_be_is_refused_at_publish() -> None:
    around = len(pack(note())) + 4  # a longer text has a longer length in front
    bus = make_bus()
    await bus.publish(note("x" * (MAX_PAYLOAD_BYTES - around)))
    with pytest.raises(
        EventRefused, match=r"takes \d+ bytes and 262144 are allowed; store it, name its hash"
    ):
        await bus.publish(note("x" * MAX_PAYLOAD_BYTES))
    assert bus.last_seq == 1


async def test_a_name_is_used_once_and_is_free_again_after_closing() -> None:
    bus = make_bus()
    with (
        bus.subscribe("tui", policy=Policy.DROP_OLDEST),
        pytest.raises(ValueError, match="two subscriptions named 'tui'"),
    ):
        bus.subscribe("tui", policy=Policy.DROP_OLDEST)
    bus.subscribe("tui", policy=Policy.DROP_OLDEST)


async def test_statistics_tell_how_each_listener_fares() -> None:
    bus = make_bus()
    recorder = bus.subscribe("recorder", policy=Policy.BLOCK, capacity=8)
    for event in (note(), note(), progress(1)):
        await bus.publish(event)
    await anext(recorder)
    told = bus.statistics()
    assert (told.durable, told.ephemeral, told.committed, told.waiting_publishers) == (2, 1, 0, 0)
    (one,) = told.subscriptions
    assert one == recorder.statistics()
    assert (one.name, one.queued, one.most_queued, one.delivered, one.dropped) == ("recorder", 2, 3, 1, 0)
    assert one.queued_bytes == len(pack(note())) + len(pack(progress(1)))


def test_a_number_of_the_bus_is_a_record_that_can_be_sent() -> None:
    told = make_bus().statistics()
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=type(told)) == told


EVENTS = st.sampled_from(
    [note("a"), note("b"), progress(1), GroupDropped(group=1, reason="r"), lost("w"), TaskSolved(task_key="s/t", attempt_number=1, code="")]
)  # fmt: skip


@given(st.lists(EVENTS | st.none(), max_size=60), st.integers(1, 5), st.booleans())
def test_every_listener_sees_what_it_keeps_in_order_and_the_counts_add_up(
    script: list[AnyEvent | None], capacity: int, in_order: bool
) -> None:
    bus = make_bus()
    listeners = [
        bus.subscribe(policy, policy=policy, capacity=capacity, in_order=in_order) for policy in LOSSY
    ]
    seen: dict[str, list[tuple[int, int, Lane]]] = {each.name: [] for each in listeners}

    def read() -> None:
        for each in listeners:
            seen[each.name] += [
                (envelope.seq, envelope.ephemeral_seq, envelope.event.lane)
                for envelope in each.drain_nowait()
                if type(envelope.event) in {type(event) for event in script}
            ]

    order: list[tuple[int, int, Lane]] = []
    for event in script:
        if event is None:
            read()
        else:
            envelope = bus.publish_nowait(event)
            order.append((envelope.seq, envelope.ephemeral_seq, event.lane))
    read()
    for told in bus.statistics().subscriptions:
        kept = seen[told.name]
        lanes = [tuple(Lane)] if in_order else [(lane,) for lane in Lane]
        for lane in lanes:
            of_lane = [place for place in kept if place[2] in lane]
            assert of_lane == [place for place in order if place in of_lane]
        assert told.delivered + told.dropped + told.coalesced == told.accepted
    assert [seq for seq, ephemeral, _ in order if not ephemeral] == list(range(1, bus.last_seq + 1))
