"""Several runs of one process: they share workers and a store, and each is paused, steered and stopped."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import anyio
import pytest

from altlas_agent.actors.supervision.intensity import Intensity, Limits
from altlas_agent.core.errors import NotFoundError, RunRefusedError, SettingsError
from altlas_agent.core.events import AnyEvent, Degraded
from altlas_agent.daemon.home import prepare_home
from altlas_agent.daemon.homeruns import HomeRuns
from altlas_agent.daemon.live import State
from storage.database import FILE_NAME
from storage.writer import Writer
from tests.flows.conftest import rows, write_suite
from tests.flows.test_run_command import child_pids

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from altlas_agent.daemon.life import HomeRun

pytestmark = [pytest.mark.timeout(180), pytest.mark.parametrize("anyio_backend", ["asyncio"])]

LITTLE: dict[str, object] = {
    "run.stop_when_solved": False,
    "tasks.groups_per_batch": 3,
    "tasks.group_size": 8,
    "policy.hidden": 24,
    "policy.embedding": 12,
    "policy.buckets": 512,
    "sandbox.workers": 1,
    "sandbox.prewarmed_nodes": 0,
}


@asynccontextmanager
async def open_runs(
    home: Path, *, tell: Callable[[AnyEvent], None] = lambda _: None, limits: Limits | None = None
) -> AsyncGenerator[HomeRuns]:
    prepare_home(home)
    async with (
        Writer(home / FILE_NAME) as writer,
        HomeRuns.open(home, writer, tell=tell, limits=limits) as runs,
    ):
        yield runs
        for run in runs.live():
            run.stop()
        await ended(runs)


async def ended(runs: HomeRuns) -> None:
    """Wait until no run is left."""
    with anyio.fail_after(60):
        while runs.live():  # noqa: ASYNC110 - what a person at a terminal sees
            await anyio.sleep(0.02)


async def grown(run: HomeRun, more: int) -> int:
    """Wait until the run has so many attempts more; gives how many it has."""
    goal = attempts(run) + more
    with anyio.fail_after(60):
        while attempts(run) < goal:  # noqa: ASYNC110 - what a person at a terminal sees
            await anyio.sleep(0.02)
    return attempts(run)


def students() -> list[int]:
    """The student processes of all runs."""
    found = child_pids(os.getpid(), "altlas_agent.learning.service")
    return list(found)


def attempts(run: HomeRun) -> int:
    return run.progress.attempts if run.progress else 0


async def test_two_runs_share_the_workers_and_neither_starves(tmp_path: Path) -> None:
    suite = str(write_suite(tmp_path / "little"))
    async with open_runs(tmp_path / "home") as runs:
        first = await runs.start(suite, LITTLE, name="one")
        second = await runs.start(suite, {**LITTLE, "run.seed": 5}, name="two")
        assert runs.workers.up == runs.workers.wanted == 1
        await grown(first, 100)
        before = attempts(second)
        await grown(first, 200)
        assert attempts(second) - before >= 50
        assert [run.name for run in runs.live()] == ["one", "two"]
    told = rows(tmp_path / "home", "SELECT id, status, reason FROM runs WHERE id > 0 ORDER BY id")
    assert told == [(1, "interrupted", "stopped by hand"), (2, "interrupted", "stopped by hand")]


async def test_a_paused_run_takes_no_step_and_goes_on_where_it_was(tmp_path: Path) -> None:
    suite = str(write_suite(tmp_path / "little"))
    async with open_runs(tmp_path / "home") as runs:
        run = await runs.start(suite, LITTLE)
        await grown(run, 48)
        run.pause()
        await anyio.sleep(1.0)  # what was under way is finished
        rested = attempts(run)
        saved = await run.checkpoint()  # also while it rests
        await anyio.sleep(1.0)
        assert (tmp_path / saved.path).exists()
        assert (attempts(run), run.state) == (rested, State.PAUSED)
        run.resume()
        await grown(run, 48)
    told = rows(
        tmp_path / "home", "SELECT type FROM events WHERE run_id = 1 AND type LIKE 'Run%' ORDER BY seq"
    )
    assert [kind for (kind,) in told] == ["RunStarted", "RunPaused", "RunContinued", "RunEnded"]


async def test_a_stopped_run_is_gone_on_with_in_the_same_process(tmp_path: Path) -> None:
    suite = str(write_suite(tmp_path / "little"))
    async with open_runs(tmp_path / "home") as runs:
        run = await runs.start(suite, LITTLE)
        reached = await grown(run, 48)
        with pytest.raises(RunRefusedError, match="is under way"):
            await runs.restart(run.run_id, {})
        run.stop()
        await ended(runs)
        with pytest.raises(NotFoundError, match="no live run 'r1'"):
            runs.find(1)
        again = await runs.restart(1, {})
        await grown(again, reached)  # from nothing to where it was
        await grown(again, 24)
    numbers = [n for (n,) in rows(tmp_path / "home", "SELECT number FROM attempts WHERE run_id = 1")]
    assert sorted(map(int, map(str, numbers))) == list(range(1, len(numbers) + 1))


async def test_steering_takes_effect_between_two_steps_and_is_stored(tmp_path: Path) -> None:
    suite = str(write_suite(tmp_path / "little"))
    async with open_runs(tmp_path / "home") as runs:
        run = await runs.start(suite, LITTLE)
        await grown(run, 24)
        with pytest.raises(SettingsError, match=r"tasks\.group_size cannot change while a run goes on"):
            run.steer({"tasks.group_size": 4})
        with pytest.raises(SettingsError, match=r"did you mean learning\.learning_rate"):
            run.steer({"learning.learning_rat": 0.1})
        with pytest.raises(SettingsError, match=r"learning\.learning_rate"):
            run.steer({"learning.learning_rate": -1.0})
        assert run.steer({"learning.learning_rate": 0.001}) == {"learning.learning_rate": 0.002}
        assert run.steer({"run.max_attempts": attempts(run) + 200}) == {"run.max_attempts": 0}
        await ended(runs)
    home = tmp_path / "home"
    assert rows(home, "SELECT reason FROM runs WHERE id = 1") == [("the limit of attempts is reached",)]
    assert rows(home, "SELECT count(*) FROM events WHERE type = 'SettingsSteered'") == [(2,)]


async def test_a_run_that_cannot_begin_leaves_the_others_alone(tmp_path: Path) -> None:
    suite = str(write_suite(tmp_path / "little"))
    async with open_runs(tmp_path / "home") as runs:
        run = await runs.start(suite, LITTLE)
        with pytest.raises(SettingsError):
            await runs.start(suite, {"learning.learning_rate": "fast"})
        with pytest.raises(NotFoundError):
            await runs.start("no-such-suite", {})
        await grown(run, 24)
    assert rows(tmp_path / "home", "SELECT count(*) FROM runs WHERE id > 0") == [(1,)]


async def test_a_run_whose_students_die_for_ever_is_given_up_and_the_others_go_on(tmp_path: Path) -> None:
    suite, told = str(write_suite(tmp_path / "little")), list[AnyEvent]()
    impatient = Limits(actor=Intensity(1, 60.0), group=Intensity(1, 600.0))
    async with open_runs(tmp_path / "home", tell=told.append, limits=impatient) as runs:
        healthy = await runs.start(suite, LITTLE)
        spared = set(students())
        await runs.start(suite, {**LITTLE, "run.seed": 5})
        with anyio.fail_after(100):
            while not told:
                for pid in set(students()) - spared:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                await anyio.sleep(0.05)
        assert [type(event) for event in told] == [Degraded]
        assert runs.live() == (healthy,)
        await grown(healthy, 24)
    home = tmp_path / "home"
    assert rows(home, "SELECT status FROM runs WHERE id = 2") == [("crashed",)]
    ((deaths,),) = rows(home, "SELECT count(*) FROM events WHERE run_id = 2 AND type = 'ActorDied'")
    assert deaths in (2, 3, 4)  # one that is not yet set up dies before there is anything to tell
