"""The bus against bare anyio streams: events per CPU-second, latency, and control past full lanes of data.

    loop        waits for               unblocked by
    ----------  ----------------------  --------------------------------------
    publisher   room; the next moment   its readers; the clock
    reader      an event                the publisher, and its end

Each round does the same with the bus and with one stream per listener (`await send`, `async for`), right
after each other, in this process, on asyncio, with one publisher and `LISTENERS` readers. Nothing is lost
on either side.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles
from typing import TYPE_CHECKING, Protocol

import anyio

from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.bus.policies import CAPACITY, Policy
from altlas_agent.core.clock import SystemClock
from altlas_agent.core.events import AnyEvent, GroupDropped, WorkerLost
from altlas_agent.evaluation.benches.measures import Bench, below, faster, share

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

    Handle = Callable[[AnyEvent], None]

LISTENERS = 5
EVENTS, BARE_EVENTS = 20_000, 2_000
TIMED_EVENTS, PER_S = 500, 500
CONTROL_EVENTS, CONTROL_EVERY_S, FLOODS = 25, 0.02, 16
WORK_S = 50e-6
"""What a reader does with an event while control is measured."""


class Channel(Protocol):
    """One way of getting events to all listeners."""

    async def send(self, event: AnyEvent) -> object:
        """To all listeners, without a loss."""
        ...

    async def listen(self, number: int, handle: Handle) -> None:
        """Hand all events to `handle`, until the end."""
        ...

    def queued(self) -> int:
        """How many events wait for the slowest listener."""
        ...

    def close(self) -> None:
        """Nothing more comes."""
        ...


class Ours:
    """The whole bus: typed and checked events, three lanes, bounded buffers, counts."""

    def __init__(self) -> None:
        self._bus = Bus(1, SystemClock())
        self._all = [self._bus.subscribe(str(number), policy=Policy.BLOCK) for number in range(LISTENERS)]

    async def send(self, event: AnyEvent) -> object:
        return await self._bus.publish(event)

    async def listen(self, number: int, handle: Handle) -> None:
        async for envelope in self._all[number]:
            handle(envelope.event)

    def queued(self) -> int:
        return max(each.statistics().queued for each in self._all)

    def close(self) -> None:
        self._bus.close()


class Bare:
    """A stream for each listener, used as its documentation shows."""

    def __init__(self) -> None:
        self._senders: list[MemoryObjectSendStream[AnyEvent]] = []
        self._receivers: list[MemoryObjectReceiveStream[AnyEvent]] = []
        for _ in range(LISTENERS):
            sender, receiver = anyio.create_memory_object_stream[AnyEvent](CAPACITY)
            self._senders.append(sender)
            self._receivers.append(receiver)

    async def send(self, event: AnyEvent) -> object:
        for sender in self._senders:
            await sender.send(event)
        return event

    async def listen(self, number: int, handle: Handle) -> None:
        async with self._receivers[number] as receiver:
            async for event in receiver:
                handle(event)

    def queued(self) -> int:
        return max(each.statistics().current_buffer_used for each in self._senders)

    def close(self) -> None:
        for sender in self._senders:
            sender.close()


@dataclass(frozen=True)
class Round:
    """The same things measured once on one channel."""

    rate: float
    p99_ms: float
    control_p99_ms: float


def bench(*, rounds: int) -> Bench:
    """Raises RuntimeError when an event is lost, or the lanes were not full: that would be no measurement."""
    return anyio.run(_bench, rounds)


async def _bench(rounds: int) -> Bench:
    """One round more than is counted: the first one warms everything up."""
    found = [(await _round(Ours, EVENTS), await _round(Bare, BARE_EVENTS)) for _ in range(rounds + 1)][1:]
    ours, bare = [pair[0] for pair in found], [pair[1] for pair in found]
    rate = faster(
        "fanout_5_rate",
        median(each.rate for each in ours),
        median(each.rate for each in bare),
        unit="1/cpu-s",
        bar=5.0,
        ratio=median(one.rate / other.rate for one, other in found),
    )
    latency, control = (
        [median(getattr(each, name) for each in side) for side in (ours, bare)]
        for name in ("p99_ms", "control_p99_ms")
    )
    return Bench(
        bench="bus",
        measures=(
            rate,
            share("p99_500_ratio", *latency, unit="ms", bar=2.0),
            below("control_p99_ms", *control, unit="ms", bar=50.0),
        ),
    )


async def _round(channel: Callable[[], Channel], events: int) -> Round:
    return Round(
        rate=await _rate(channel(), events),
        p99_ms=await _p99_ms(channel()),
        control_p99_ms=await _control_p99_ms(channel()),
    )


async def _rate(channel: Channel, events: int) -> float:
    """Events per second of CPU, from one publisher to all listeners."""
    heard = [0]

    def handle(_: AnyEvent) -> None:
        heard[0] += 1

    async def publish() -> None:
        for number in range(events):
            await channel.send(GroupDropped(group=number, reason="all scores equal"))

    began = time.process_time()
    await _run(channel, publish, handle)
    cpu_s = time.process_time() - began
    if heard[0] != events * LISTENERS:
        raise RuntimeError(f"{heard[0]} of {events * LISTENERS} events arrived")
    return events / cpu_s


async def _p99_ms(channel: Channel) -> float:
    """From publishing to the handler, at `PER_S` events a second whatever happens."""
    sent: list[float] = []
    late_ms: list[float] = []

    def handle(event: AnyEvent) -> None:
        if isinstance(event, GroupDropped):
            late_ms.append((time.perf_counter() - sent[event.group]) * 1e3)

    async def publish() -> None:
        began = time.perf_counter()
        for number in range(TIMED_EVENTS):
            await anyio.sleep(max(0.0, began + number / PER_S - time.perf_counter()))
            event = GroupDropped(group=number, reason="all scores equal")
            sent.append(time.perf_counter())
            await channel.send(event)

    await _run(channel, publish, handle)
    return _p99(late_ms)


async def _control_p99_ms(channel: Channel) -> float:
    """From publishing to the handler of a control event, while data fills every buffer."""
    late_ms: list[float] = []
    full: list[int] = []

    def handle(event: AnyEvent) -> None:
        began = time.perf_counter()
        if isinstance(event, WorkerLost):
            late_ms.append((began - float(event.detail)) * 1e3)
        while time.perf_counter() - began < WORK_S:
            pass

    async def flood() -> None:
        while True:
            await channel.send(GroupDropped(group=0, reason="all scores equal"))

    async def publish() -> None:
        async with anyio.create_task_group() as tasks:
            for _ in range(FLOODS):
                tasks.start_soon(flood)
            await anyio.sleep(CONTROL_EVERY_S)
            for _ in range(CONTROL_EVENTS):
                await anyio.sleep(CONTROL_EVERY_S)
                full.append(channel.queued())
                await channel.send(WorkerLost(worker="w", detail=repr(time.perf_counter())))
            tasks.cancel_scope.cancel()

    await _run(channel, publish, handle)
    if median(full) < CAPACITY / 2:
        raise RuntimeError(f"the lanes of data were not full: {median(full):g} of {CAPACITY} events")
    return _p99(late_ms)


async def _run(channel: Channel, publish: Callable[[], Awaitable[None]], handle: Handle) -> None:
    async with anyio.create_task_group() as tasks:
        for number in range(LISTENERS):
            tasks.start_soon(partial(channel.listen, number, handle))
        await publish()
        channel.close()


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]
