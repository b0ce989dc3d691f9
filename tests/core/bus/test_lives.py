"""Lives of a bus in random order of everything that can happen to it, and not one broken promise."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, cast

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.bus.policies import Policy
from altlas_agent.core.clock import ManualClock
from altlas_agent.core.errors import CutOffError
from tests.core.bus.conftest import lost, note, progress
from tests.core.bus.history import Ears, History
from tests.core.bus.test_durable import Ledger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup, TaskStatus

    from altlas_agent.core.bus.subscription import Subscription
    from altlas_agent.core.events import AnyEvent, Envelope

EVENTS = st.sampled_from([note("a"), note("b" * 300), lost("w"), progress(1)])
WHICH = st.integers(0, 100)


class Life:
    """One life of the process: what a kill takes away."""

    def __init__(self, number: int, history: History, disk: list[Envelope]) -> None:
        self.number = number
        self.bus = Bus(1, ManualClock(), last_seq=len(disk))
        self.ledger = Ledger(self.bus)
        self.ledger.events = disk
        self.listeners: dict[Ears, Subscription] = {}
        self._history = history
        self._pauses: dict[Ears, anyio.Event] = {}
        self._names = 0
        self._scribe = self.bus.subscribe("scribe", policy=Policy.DROP_OLDEST, in_order=True, capacity=10_000)

    def publish(self, events: list[AnyEvent]) -> None:
        for event in events:
            try:
                self.bus.publish_nowait(event)
            except anyio.WouldBlock:
                return

    async def publish_durable(self, event: AnyEvent) -> None:
        before = self.bus.last_seq
        try:
            told = await self.bus.publish_durable(event)
        except anyio.ClosedResourceError:
            return
        assert before < told.seq <= self.bus.committed_seq
        self._history.acknowledged.append(told)

    def subscribe(self, policy: Policy, *, capacity: int, in_order: bool, past: int) -> Ears:
        self._names += 1
        start = min(past, self.bus.last_seq + 1) or None
        listener = self.bus.subscribe(
            f"l{self._names}", policy=policy, capacity=capacity, in_order=in_order, from_seq=start
        )
        in_order = in_order or start is not None or policy is Policy.DISCONNECT
        misses_nothing = in_order and policy in {Policy.BLOCK, Policy.DISCONNECT}
        promised = (start or self.bus.last_seq + 1) if misses_nothing else None
        ears = Ears(self.number, listener.name, in_order=in_order, start=promised)
        self.listeners[ears] = listener
        self._pauses[ears] = anyio.Event()
        self._pauses[ears].set()
        return ears

    def ears(self, which: int) -> Ears:
        return list(self.listeners)[which % len(self.listeners)]

    def pause(self, ears: Ears) -> None:
        """Its reader stands still after the next event, or goes on."""
        if self._pauses[ears].is_set():
            self._pauses[ears] = anyio.Event()
        else:
            self._pauses[ears].set()

    async def read(self, ears: Ears) -> None:
        listener, heard = self.listeners[ears], self._history.heard[ears]
        with suppress(CutOffError):
            async for envelope in listener:
                heard.append(envelope)
                await self._pauses[ears].wait()
        self.listeners.pop(ears, None)

    def commit(self) -> None:
        if self.bus.last_seq > self.ledger.committed_seq:
            self.ledger.commit()

    def write_down(self) -> None:
        """What was announced so far."""
        assert self._scribe.statistics().dropped == 0
        self._history.announced += [(self.number, envelope) for envelope in self._scribe.drain_nowait()]

    def close(self) -> None:
        self.write_down()
        self.bus.close()
        self.commit()
        for listener in self.listeners.values():
            listener.close()
        assert self.ledger.committed_seq == self.bus.last_seq


class Lives(RuleBasedStateMachine):
    """Publishing, listening, committing, acting, closing and killing, on a real event loop."""

    def __init__(self, backend: str) -> None:
        super().__init__()
        self.history = History()
        self.done: list[Envelope] = []
        self.number = 0
        self.scope = start_blocking_portal(backend)
        self.portal = self.scope.__enter__()
        self.begin([])

    def begin(self, disk: list[Envelope]) -> None:
        self.ended, self.tasks = self.portal.start_task(_hold)
        self.life = self.portal.call(Life, self.number, self.history, disk)

    def end(self) -> list[Envelope]:
        """Everybody is gone; returns what is on disk."""
        self.life.write_down()
        self.portal.call(self.tasks.cancel_scope.cancel)
        self.ended.result(5.0)
        self.life.write_down()
        self.number += 1
        return self.life.ledger.events[: self.life.ledger.committed_seq]

    def start(self, work: Callable[[], Awaitable[None]]) -> None:
        async def start() -> None:
            self.tasks.start_soon(work)
            await _settle()

        self.portal.call(start)

    @rule(events=st.lists(EVENTS, min_size=4, max_size=12))
    def publish(self, events: list[AnyEvent]) -> None:
        self.portal.call(self.life.publish, events)
        self.portal.call(_settle)

    @rule(event=st.sampled_from([note("durable"), lost("durable")]))
    def publish_durable(self, event: AnyEvent) -> None:
        self.start(partial(self.life.publish_durable, event))

    @rule(
        policy=st.sampled_from(Policy),
        capacity=st.integers(1, 8),
        in_order=st.booleans(),
        past=st.integers(0, 30),
    )
    def subscribe(self, *, policy: Policy, capacity: int, in_order: bool, past: int) -> None:
        ears = self.portal.call(
            partial(self.life.subscribe, policy, capacity=capacity, in_order=in_order, past=past)
        )
        self.start(partial(self.life.read, ears))

    @precondition(lambda self: self.life.listeners)
    @rule(which=WHICH)
    def pause(self, which: int) -> None:
        self.portal.call(self.life.pause, self.life.ears(which))
        self.portal.call(_settle)

    @precondition(lambda self: len(self.life.listeners) > 3)
    @rule(which=WHICH)
    def leave(self, which: int) -> None:
        self.portal.call(self.life.listeners.pop(self.life.ears(which)).close)

    @rule()
    def commit(self) -> None:
        self.portal.call(self.life.commit)
        self.portal.call(_settle)

    @rule()
    def act(self) -> None:
        """A consumer begins after its cursor, acts on what is committed, and does nothing twice."""
        page = self.portal.call(self.life.ledger.read, len(self.done) + 1, 5)
        self.done += page
        self.history.effects += page

    @precondition(lambda self: self.life.bus.last_seq > 30 * (self.number + 1))
    @rule()
    def kill(self) -> None:
        self.begin(self.end())

    @precondition(lambda self: self.life.bus.last_seq > 30 * (self.number + 1))
    @rule()
    def close(self) -> None:
        self.portal.call(self.life.close)
        self.begin(self.end())

    def teardown(self) -> None:
        self.portal.call(self.life.close)
        self.history.stored = self.end()
        self.scope.__exit__(None, None, None)
        assert self.history.faults() == []


async def _hold(*, task_status: TaskStatus[TaskGroup]) -> None:
    """A group for the tasks of one life, until it is cancelled."""
    async with anyio.create_task_group() as tasks:
        task_status.started(tasks)
        await anyio.sleep_forever()


async def _settle() -> None:
    """Let everybody get on with it."""
    for _ in range(8):
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_sequence_of_lives_breaks_a_promise(backend: str) -> None:
    quick = settings(
        max_examples=30, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
    )
    lives: Callable[[], Lives] = partial(Lives, backend)
    run_state_machine_as_test(cast("type[Lives]", lives), settings=quick)  # it calls what it is given
