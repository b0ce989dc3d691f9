"""Actors start in order, fail together and stop in reverse."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

import anyio
import pytest
from anyio import wait_all_tasks_blocked

from altlas_agent.core.actor import run_actors


@dataclass
class Recorded:
    """An actor that writes its life into `diary`: it works for `work_s` and then raises `failure`."""

    name: str
    diary: list[str]
    work_s: float = 60.0
    failure: Exception | None = None
    clean_up_failure: Exception | None = None

    async def run(self) -> None:
        self.diary.append(f"{self.name} starts")
        try:
            await anyio.sleep(self.work_s)
            if self.failure is not None:
                raise self.failure
        finally:
            self.diary.append(f"{self.name} ends")
            if self.clean_up_failure is not None:
                raise self.clean_up_failure


async def test_they_start_in_order_and_all_ends_well() -> None:
    diary: list[str] = []
    await run_actors([Recorded(name, diary, work_s=0.05) for name in "abc"])
    assert diary[:3] == ["a starts", "b starts", "c starts"]
    assert sorted(diary[3:]) == ["a ends", "b ends", "c ends"]


async def test_one_failure_stops_the_others_in_reverse_and_is_raised_as_itself() -> None:
    diary: list[str] = []
    actors = [
        Recorded("a", diary),
        Recorded("b", diary, work_s=0.01, failure=ZeroDivisionError("bug")),
        Recorded("c", diary),
        Recorded("d", diary),
    ]
    with pytest.raises(ZeroDivisionError, match="bug"):
        await run_actors(actors)
    assert diary[4:] == ["b ends", "d ends", "c ends", "a ends"]


async def test_several_failures_are_raised_together() -> None:
    diary: list[str] = []
    actors = [
        Recorded("a", diary, work_s=0.01, failure=ZeroDivisionError()),
        Recorded("b", diary, clean_up_failure=KeyError()),
    ]
    with pytest.raises(ExceptionGroup, match="several actors failed") as caught:
        await run_actors(actors)
    assert [type(error) for error in caught.value.exceptions] == [ZeroDivisionError, KeyError]


async def test_they_are_stopped_in_reverse_when_until_returns() -> None:
    diary: list[str] = []

    async def until() -> None:
        await anyio.sleep(0.01)
        diary.append("done")

    await run_actors([Recorded(name, diary) for name in "ab"], until=until)
    assert diary == ["a starts", "b starts", "done", "b ends", "a ends"]


async def test_a_failure_of_until_is_raised_as_itself() -> None:
    diary: list[str] = []

    async def until() -> None:
        raise LookupError("nothing to do")

    with pytest.raises(LookupError, match="nothing to do"):
        await run_actors([Recorded("a", diary)], until=until)
    assert diary == ["a starts", "a ends"]


async def test_a_failure_ends_until() -> None:
    with pytest.raises(ZeroDivisionError):
        await run_actors(
            [Recorded("a", [], work_s=0.0, failure=ZeroDivisionError())], until=anyio.sleep_forever
        )


async def test_cancellation_stops_them_in_reverse() -> None:
    diary: list[str] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_actors, [Recorded(name, diary) for name in "abc"])
        await wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert diary[3:] == ["c ends", "b ends", "a ends"]


@dataclass
class Stubborn:
    """An actor whose clean-up takes long."""

    name: str = "stubborn"

    async def run(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(0.3)


async def test_an_actor_that_will_not_stop_is_named_and_does_not_hold_up_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ended_at: list[float] = []

    @dataclass
    class Prompt:
        name: str = "prompt"

        async def run(self) -> None:
            try:
                await anyio.sleep_forever()
            finally:
                ended_at.append(time.monotonic())

    async def until() -> None:
        await anyio.lowlevel.checkpoint()

    with caplog.at_level(logging.WARNING):
        start = time.monotonic()
        await run_actors([Prompt(), Stubborn()], until=until, stop_s=0.05)
    assert ended_at[0] - start < 0.25
    assert "stubborn has not stopped within 0.05 s" in caplog.text
