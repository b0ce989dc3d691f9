"""Deaths are told, and felt by nobody else; what dies too often is given up, and tried again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import anyio
import pytest

from altlas_agent.actors.supervision.charge import Member
from altlas_agent.actors.supervision.group import Group
from altlas_agent.actors.supervision.intensity import Limits
from altlas_agent.actors.supervisor import Supervisor
from altlas_agent.core import errors
from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.clock import NS_PER_S, ManualClock
from altlas_agent.core.events import ActorDied, ActorRestarted, AnyEvent, Degraded, Recovered
from altlas_agent.core.pulse import Life
from altlas_agent.core.records import Record
from tests.actors.virtual import VirtualTime

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from altlas_agent.core.pulse import Pulse

    Work = Callable[["Stage", Pulse], Awaitable[None]]


class Question(Record):
    """Any record will do."""


@dataclass
class Stage:
    """A supervisor in virtual time, what it told and when, and the diary of its actors."""

    time: VirtualTime = field(default_factory=VirtualTime)
    told: list[tuple[float, AnyEvent]] = field(default_factory=list)
    diary: list[str] = field(default_factory=list)
    seed: int = 0

    def __post_init__(self) -> None:
        self.supervisor = Supervisor(self.tell, clock=self.time, seed=self.seed, sleep=self.time.sleep)

    @property
    def now_s(self) -> float:
        return self.time.monotonic_ns() / NS_PER_S

    def tell(self, event: AnyEvent) -> None:
        self.told.append((self.now_s, event))

    def heard(self, kind: type[AnyEvent]) -> list[AnyEvent]:
        return [event for _, event in self.told if isinstance(event, kind)]

    def life(self, name: str) -> Life:
        return next(state.life for state in self.supervisor.states() if state.name == name)


@dataclass
class Scripted:
    """An actor that writes its beginning and its end into the diary, and does its work in between."""

    name: str
    stage: Stage
    pulse: Pulse
    work: Work

    async def run(self) -> None:
        self.stage.diary.append(f"{self.name} begins")
        try:
            await self.work(self.stage, self.pulse)
        finally:
            self.stage.diary.append(f"{self.name} ends")


async def forever(_stage: Stage, _pulse: Pulse) -> None:
    await anyio.sleep_forever()


def dies(after_s: float = 0.0, *, times: int = 1_000_000) -> Work:
    """Work that fails after a while, so many times, and then lives on."""
    left = [times]

    async def work(stage: Stage, _pulse: Pulse) -> None:
        await stage.time.sleep(after_s)
        left[0] -= 1
        if left[0] >= 0:
            raise ZeroDivisionError("a bug")
        await anyio.sleep_forever()

    return work


def member(
    stage: Stage, name: str, work: Work = forever, *, silent_s: float | None = None, may_end: bool = False
) -> Member:
    return Member(name, lambda pulse: Scripted(name, stage, pulse, work), silent_s, may_end)


def group(stage: Stage, name: str, **works: Work) -> Group:
    return Group(name, tuple(member(stage, each, work) for each, work in works.items()))


@asynccontextmanager
async def kept(stage: Stage, *groups: Group) -> AsyncGenerator[None]:
    with anyio.fail_after(20):
        async with stage.supervisor.keep(groups):
            await stage.time.elapse(0)
            yield


async def test_actors_start_in_order_and_stop_in_reverse() -> None:
    stage = Stage()
    async with kept(stage, group(stage, "one", a=forever, b=forever), group(stage, "two", c=forever)):
        assert stage.diary == ["a begins", "b begins", "c begins"]
    assert stage.diary[3:] == ["c ends", "b ends", "a ends"]
    assert stage.told == []


async def test_a_death_is_told_and_the_actor_lives_again_while_the_others_notice_nothing() -> None:
    stage = Stage()
    async with kept(stage, group(stage, "one", a=dies(5.0, times=1), b=forever)):
        await stage.time.elapse(5.0)
        assert stage.heard(ActorDied) == [ActorDied(actor="a", reason="ZeroDivisionError: a bug", restarts=0)]
        assert stage.life("a") is Life.BACKING_OFF
        await stage.time.elapse(0.1)
        [restarted] = stage.heard(ActorRestarted)
        assert isinstance(restarted, ActorRestarted)
        assert (restarted.actor, restarted.restarts) == ("a", 1)
        assert stage.life("a") is stage.life("b") is Life.RUNNING
    assert stage.diary[:5] == ["a begins", "b begins", "a ends", "a begins", "b ends"]


async def test_an_early_return_is_a_death() -> None:
    stage = Stage()

    async def work(stage: Stage, _pulse: Pulse) -> None:
        await stage.time.sleep(1.0)

    async with kept(stage, Group("one", (member(stage, "a", work),))):
        await stage.time.elapse(1.0)
        assert stage.heard(ActorDied) == [
            ActorDied(actor="a", reason="it returned, and should not have", restarts=0)
        ]


async def test_an_actor_that_may_end_has_ended_when_it_returns() -> None:
    stage = Stage()

    async def work(stage: Stage, _pulse: Pulse) -> None:
        await stage.time.sleep(1.0)

    async with kept(stage, Group("one", (member(stage, "a", work, may_end=True), member(stage, "b")))):
        await stage.time.elapse(1.0)
        assert (stage.life("a"), stage.life("b")) == (Life.ENDED, Life.RUNNING)
    assert stage.told == []


async def test_the_moments_before_new_lives_double_vary_and_stay_within_their_bounds() -> None:
    stage = Stage()
    waits: list[float] = []
    async with kept(stage, group(stage, "one", a=dies(20.1))):
        for _ in range(3):  # three restarts within 60 s are within the intensity
            await stage.time.elapse(21.0)
    for (before, died), (after, lives) in pairwise(stage.told):
        if isinstance(died, ActorDied) and isinstance(lives, ActorRestarted):
            waits.append(after - before)
    assert len(waits) == 3
    assert all(0.0999 < wait < longest for wait, longest in zip(waits, (0.1001, 0.2001, 0.4001), strict=True))


async def test_the_same_seed_waits_as_long() -> None:
    async def times(seed: int) -> list[float]:
        stage = Stage(seed=seed)
        async with kept(stage, group(stage, "one", a=dies(1.0))):
            await stage.time.elapse(30.0)
        return [when for when, _ in stage.told]

    assert await times(7) == await times(7) != await times(8)


async def test_deaths_that_are_rare_are_never_too_many() -> None:
    stage = Stage()
    async with kept(stage, group(stage, "one", a=dies(25.0), b=forever)):
        await stage.time.elapse(600.0)
    assert len(stage.heard(ActorRestarted)) > 20
    assert stage.diary.count("b begins") == 1
    assert stage.heard(Degraded) == []


async def test_the_fourth_death_within_a_minute_restarts_the_whole_group_in_order() -> None:
    stage = Stage()
    async with kept(stage, group(stage, "one", a=forever, b=dies(1.0, times=4), c=forever)):
        await stage.time.elapse(10.0)
        assert stage.diary[:3] == ["a begins", "b begins", "c begins"]
        again = ["b ends", "b begins"] * 3
        assert stage.diary[3:] == [*again, "b ends", "c ends", "a ends", "a begins", "b begins", "c begins"]
        assert len(stage.heard(ActorRestarted)) == 4
        assert not stage.supervisor.degraded


async def test_a_group_that_falls_a_third_time_is_given_up_and_the_others_live_on() -> None:
    stage = Stage()
    async with kept(stage, group(stage, "bad", a=dies(), b=forever), group(stage, "good", c=forever)):
        await stage.time.elapse(30.0)
        [degraded] = stage.heard(Degraded)
        assert degraded == Degraded(
            group="bad", reason="a died too often, last because ZeroDivisionError: a bug"
        )
        assert stage.supervisor.degraded == ("bad",)
        assert [stage.life(name) for name in "abc"] == [Life.DOWN, Life.DOWN, Life.RUNNING]
    assert stage.diary.count("c begins") == 1


async def test_what_was_given_up_is_tried_again_once_a_minute_and_comes_back_whole() -> None:
    stage = Stage()
    async with kept(stage, group(stage, "bad", a=dies(times=12 + 2))):  # 12 deaths to give up, 2 vain tries
        await stage.time.elapse(20.0)
        assert stage.diary.count("a begins") == 12
        await stage.time.elapse(120.0)
        assert stage.diary.count("a begins") == 14
        assert stage.supervisor.degraded == ("bad",)
        await stage.time.elapse(80.0)
        assert not stage.supervisor.degraded
        assert stage.life("a") is Life.RUNNING
    assert len(stage.heard(Degraded)) == 1
    [recovered] = stage.heard(Recovered)
    assert isinstance(recovered, Recovered)
    assert recovered.group == "bad"
    assert 180.0 < recovered.after_s < 200.0


async def test_an_actor_that_falls_silent_is_ended_and_lives_again() -> None:
    stage = Stage()
    async with kept(stage, Group("one", (member(stage, "a", silent_s=3.0),))):
        await stage.time.elapse(2.9)
        assert stage.told == []
        await stage.time.elapse(0.5)
        [died] = stage.heard(ActorDied)
        assert isinstance(died, ActorDied)
        assert "neither moved nor said what it waits for" in died.reason
        await stage.time.elapse(0.2)
        assert stage.life("a") is Life.RUNNING
        assert stage.diary == ["a begins", "a ends", "a begins"]


async def test_an_actor_that_declares_what_it_waits_for_or_moves_is_alive() -> None:
    stage = Stage()

    async def waits(_stage: Stage, pulse: Pulse) -> None:
        with pulse.waiting("a slot"):
            await anyio.sleep_forever()

    async def moves(stage: Stage, pulse: Pulse) -> None:
        while True:
            await stage.time.sleep(1.0)
            pulse.beat()

    members = (member(stage, "a", waits, silent_s=3.0), member(stage, "b", moves, silent_s=3.0))
    async with kept(stage, Group("one", members)):
        await stage.time.elapse(60.0)
        [a, b] = stage.supervisor.states()
        assert (a.life, a.waits_for, a.silent_s) == (Life.WAITING, "a slot", 0.0)
        assert b.life is Life.RUNNING
    assert stage.told == []


async def test_who_waits_for_an_actor_that_dies_hears_it_at_once() -> None:
    stage = Stage()
    bus = Bus(1, ManualClock())

    async def answers_nothing(stage: Stage, _pulse: Pulse) -> None:
        with bus.asks.serve("a"):
            await stage.time.sleep(1.0)
            raise ZeroDivisionError("a bug")

    async with kept(stage, Group("one", (member(stage, "a", answers_nothing),))):

        async def ask() -> None:
            with pytest.raises(errors.ActorDied, match="a bug"):
                await bus.asks.ask("a", Question(), Question, timeout_s=1000.0)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            await stage.time.elapse(1.0)
        with pytest.raises(errors.ActorDied):  # nor does anybody wait for it while it backs off
            await bus.asks.ask("a", Question(), Question, timeout_s=1000.0)


async def test_a_group_can_be_added_and_taken_away_while_the_others_live() -> None:
    stage = Stage()
    async with kept(stage, group(stage, "one", a=forever)):
        await stage.supervisor.start(group(stage, "two", b=dies()))
        with pytest.raises(ValueError, match="two groups named 'two'"):
            await stage.supervisor.start(group(stage, "two"))
        await stage.time.elapse(1.0)
        await stage.supervisor.stop("two")
        stage.told.clear()
        await stage.time.elapse(600.0)
        assert stage.told == []
        assert [state.name for state in stage.supervisor.states()] == ["a"]


async def test_what_the_block_raises_comes_out_as_itself_and_all_are_stopped() -> None:
    stage = Stage()
    with pytest.raises(LookupError, match="nothing to do"):
        async with kept(stage, group(stage, "one", a=forever, b=dies())):
            raise LookupError("nothing to do")
    assert stage.diary[-1] == "a ends"


async def test_an_error_of_an_actor_that_is_being_stopped_reaches_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    stage = Stage()

    async def work(_stage: Stage, _pulse: Pulse) -> None:
        async with anyio.create_task_group():
            try:
                await anyio.sleep_forever()
            finally:
                raise KeyError("while cleaning up")

    async with kept(stage, Group("one", (member(stage, "a", work),))):
        pass
    assert "while cleaning up" in caplog.text


async def test_one_who_cannot_be_told_does_not_stop_the_supervision() -> None:
    stage = Stage()

    def refuse(_event: AnyEvent) -> None:
        raise BufferError("full")

    stage.supervisor = Supervisor(refuse, clock=stage.time, sleep=stage.time.sleep)
    async with kept(stage, group(stage, "one", a=dies(times=2))):
        await stage.time.elapse(10.0)
        assert stage.life("a") is Life.RUNNING


async def test_the_errors_of_an_actors_tasks_are_named_one_by_one() -> None:
    stage = Stage()

    async def fail(error: Exception) -> None:
        raise error

    async def work(_stage: Stage, _pulse: Pulse) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fail, KeyError("one"))
            tasks.start_soon(fail, OSError("two"))

    async with kept(stage, Group("one", (member(stage, "a", work),))):
        [died] = stage.heard(ActorDied)
        assert isinstance(died, ActorDied)
        assert sorted(died.reason.split("; ")) == ["KeyError: 'one'", "OSError: two"]


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_that_nobody_asked_for_is_a_death_like_another() -> None:
    stage = Stage()

    async def work(_stage: Stage, _pulse: Pulse) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async with kept(stage, Group("one", (member(stage, "a", work), member(stage, "b")))):
        [died] = stage.heard(ActorDied)
        assert isinstance(died, ActorDied)
        assert died.reason == "it was cancelled by somebody else"
        assert stage.life("b") is Life.RUNNING


async def test_an_actor_that_will_not_end_holds_up_the_others_for_a_moment_only() -> None:
    stage = Stage()
    stage.supervisor = Supervisor(
        stage.tell, clock=stage.time, sleep=stage.time.sleep, limits=Limits(stop_s=0.05)
    )
    released, stopped = anyio.Event(), anyio.Event()

    async def prompt(_stage: Stage, _pulse: Pulse) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stopped.set()

    async def stubborn(_stage: Stage, _pulse: Pulse) -> None:
        with anyio.CancelScope(shield=True):
            await released.wait()

    async with anyio.create_task_group() as tasks:

        async def release() -> None:
            await stopped.wait()
            released.set()

        tasks.start_soon(release)
        async with kept(stage, group(stage, "one", a=prompt, b=stubborn)):
            pass
    assert stage.diary == ["a begins", "b begins", "a ends", "b ends"]
