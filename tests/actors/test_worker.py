"""Worker processes judge attempts; they are killed, and nobody's verdict is lost or made up."""

from __future__ import annotations

import os
import shutil
import signal
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest

from altlas_agent.actors.worker import Workers
from altlas_agent.core.errors import ScoringError, ServiceMissingError
from altlas_agent.core.events import RungChanged, WorkerLost
from altlas_agent.core.records import Arm, Attempt, Case, Judged, Kind, Limits, Status, Task
from altlas_agent.core.requests import SetUpWorker
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.sandbox.walls.processes import children
from altlas_agent.settings.run import Settings
from tests.sandbox.conftest import Tools, descendants, tools

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

__all__ = ["tools"]

pytestmark = pytest.mark.timeout(120)

SETTINGS = Settings().model_dump_json()
SLOW = "import time\ntime.sleep({})\nprint(8)\n"


def task_of(*, name: str = "eight", instance: int = -1) -> Task:
    """Print 8, and take your time."""
    return Task(
        id=f"t/{name}" if instance < 0 else f"t/{name}#train-{instance}",
        suite="t",
        name=name,
        description="Print 8.",
        target_language="python",
        kind=Kind.STDOUT,
        cases=(Case(expected='"8"', hidden=True),),
        instance=instance,
        limits=Limits(cpu_s=5.0, wall_s=25.0),
        numbers=(8,),
    )


TASK = task_of()
on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])
"""For what takes seconds and depends on processes, not on the event loop."""


def attempt_of(number: int, code: str = "print(8)", tokens: tuple[int, ...] = ()) -> Attempt:
    return Attempt(
        number=number,
        group=0,
        task_id=TASK.id,
        code=code,
        tokens=tokens,
        logps=(),
        policy_version=0,
        arm=Arm.POLICY,
    )


class Crew:
    """Workers that are ready, and what was told about their losses and their jails."""

    def __init__(self, workers: Workers, lost: list[WorkerLost], changed: list[RungChanged]) -> None:
        self.workers = workers
        self.lost = lost
        self.changed = changed
        self.share = workers.share("r1")
        self._killed: list[int | None] = [None]

    async def judge(self, number: int, code: str) -> Judged:
        return await self.share.judge(TASK, attempt_of(number, code), ())

    async def kill(self, name: str = "worker-0") -> list[int]:
        """SIGKILL a worker that was not killed before; answers with all the processes that it had."""
        with anyio.fail_after(30):
            while (pid := self.workers.pids.get(name)) in self._killed:  # noqa: ASYNC110 - only judges hear of it
                await anyio.sleep(0.02)
        assert pid is not None
        await anyio.sleep(0.4)  # it gets something to do
        family = [pid, *descendants(pid)]
        os.kill(pid, signal.SIGKILL)
        self._killed.append(pid)
        return family


@asynccontextmanager
async def crew(
    folder: Path, *, count: int = 1, languages: tuple[str, ...] = ("python",), settings: str = SETTINGS
) -> AsyncGenerator[Crew]:
    lost: list[WorkerLost] = []
    changed: list[RungChanged] = []

    async def tell(event: WorkerLost | RungChanged) -> None:
        if isinstance(event, WorkerLost):
            lost.append(event)
        else:
            changed.append(event)

    request = SetUpWorker(settings=settings, languages=languages)
    async with Workers.start(request, count=count, tell=tell, log_folder=folder) as workers:
        await workers.set_up()
        yield Crew(workers, lost, changed)


def sandbox_settings(**changes: str | int | bool) -> str:
    return Settings.model_validate({"sandbox": changes}).model_dump_json()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


async def all_end(pids: list[int]) -> None:
    with anyio.fail_after(10):
        while any(map(is_running, pids)):  # noqa: ASYNC110 - nobody announces the end of a grandchild
            await anyio.sleep(0.02)


async def test_an_attempt_comes_back_with_its_verdict(tmp_path: Path) -> None:
    async with crew(tmp_path, count=2) as made:
        judged = await made.judge(3, "print(8)")
        assert judged.attempt == attempt_of(3, "print(8)")
        assert judged.score.solved
        assert judged.outcome.rung
        assert made.workers.ready.rungs.keys() == {"python"}
        assert sorted(made.workers.pids) == ["worker-0", "worker-1"]
        family = [pid for each in made.workers.pids.values() for pid in (each, *descendants(each))]
        assert len(family) > 4
    await all_end(family)
    assert made.lost == []


async def test_a_program_is_judged_once_for_a_task(tmp_path: Path) -> None:
    code = "import time\ntime.sleep(0.2)\nprint(time.time_ns())\n"
    printed: list[str] = []

    async def judge(number: int) -> None:
        judged = await made.judge(number, code)
        assert judged.attempt.number == number
        printed.append(judged.outcome.stdout)

    async with crew(tmp_path, count=2, settings=sandbox_settings(result_cache=0)) as made:
        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(judge, number)
        await judge(5)
        assert len(set(printed)) == 1
        assert (made.share.judged, made.share.cache_hits) == (6, 5)
        await made.judge(6, code + " ")
        assert made.share.cache_hits == 5


@on_asyncio
async def test_a_timeout_is_not_remembered(tmp_path: Path) -> None:
    hurried = msgspec.structs.replace(TASK, limits=Limits(wall_s=0.3))
    async with crew(tmp_path) as made:
        for number in range(2):
            judged = await made.share.judge(hurried, attempt_of(number, SLOW.format(60)), ())
            assert judged.outcome.status is Status.TIMEOUT
        assert made.share.cache_hits == 0


@on_asyncio
async def test_in_a_family_the_same_text_of_other_tokens_is_judged_for_itself(tmp_path: Path) -> None:
    task, tokens = task_of(instance=0), vocabulary().numbers
    ideas = (tokens("OUTPUT NUM_0 END"), tokens("OUTPUT ADD INT_2 INT_2 END"))
    async with crew(tmp_path) as made:
        for number, idea in enumerate((*ideas, *ideas)):
            await made.share.judge(task, attempt_of(number, "print(8)", idea), (task_of(instance=1),))
        assert made.share.cache_hits == 2


async def test_a_killed_worker_is_replaced_and_nobody_loses_a_verdict(tmp_path: Path) -> None:
    verdicts: dict[int, Judged] = {}

    async def judge(number: int) -> None:
        verdicts[number] = await made.judge(number, SLOW.format(0.8 + number / 100))

    async with crew(tmp_path, count=2) as made:
        async with anyio.create_task_group() as tasks:
            for number in range(6):
                tasks.start_soon(judge, number)
            family = await made.kill()
        assert [event.worker for event in made.lost] == ["worker-0"]
        assert "killed by SIGKILL" in made.lost[0].detail
        await all_end(family)
        assert made.workers.pids["worker-0"] not in family
    assert sorted(verdicts) == [0, 1, 2, 3, 4, 5]
    assert all(judged.score.solved for judged in verdicts.values())


async def test_an_attempt_that_brings_two_workers_down_is_internal_and_never_scored(tmp_path: Path) -> None:
    verdicts: dict[int, Judged] = {}

    async def judge(number: int, code: str) -> None:
        verdicts[number] = await made.judge(number, code)

    async with crew(tmp_path) as made:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(judge, 0, SLOW.format(20))
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(judge, 1, "print(8)")  # waits behind it both times
            await made.kill()
            await made.kill()
        culprit, bystander = verdicts[0], verdicts[1]
        assert culprit.outcome.status is Status.INTERNAL
        assert "died twice" in culprit.outcome.stderr
        assert (culprit.score.value, culprit.score.parts, culprit.score.solved) == (0.0, {}, False)
        assert bystander.score.solved
        assert (await made.judge(2, SLOW.format(0))).score.solved
        assert len(made.lost) == 2


@on_asyncio
async def test_a_worker_that_dies_while_idle_is_nobodys_fault(tmp_path: Path) -> None:
    async with crew(tmp_path) as made:
        await made.kill()
        await anyio.sleep(0.8)  # its death is known
        assert (await made.judge(1, "print(8)")).score.solved
        assert [event.detail for event in made.lost] == ["worker-0 died while it had nothing to do"]


@on_asyncio
async def test_what_cannot_be_judged_raises_as_it_does_in_the_worker(tmp_path: Path) -> None:
    task = msgspec.structs.replace(TASK, cases=(Case(expected="", hidden=True),), reference="1 / 0")
    async with crew(tmp_path) as made:
        with pytest.raises(ScoringError, match=r"^task t/eight: its reference gives no answer \(error"):
            await made.share.judge(task, attempt_of(1), ())
        assert (await made.judge(2, "print(8)")).score.solved
    assert made.lost == []


@on_asyncio
async def test_a_missing_interpreter_is_told_with_its_remedy(tmp_path: Path) -> None:
    settings = sandbox_settings(node=str(tmp_path / "node"))
    with pytest.raises(ServiceMissingError, match=r"sandbox\.node") as caught:
        async with crew(tmp_path, count=2, languages=("javascript",), settings=settings):
            pass
    assert caught.value.exit_code == 69


@on_asyncio
async def test_a_worker_that_cannot_be_replaced_ends_what_waits_for_it(tmp_path: Path) -> None:
    node = tmp_path / "node"
    node.symlink_to(shutil.which("node") or "node")
    async with crew(
        tmp_path, languages=("python", "javascript"), settings=sandbox_settings(node=str(node))
    ) as made:
        node.unlink()
        await made.kill()
        with pytest.raises(ServiceMissingError):
            await made.judge(1, SLOW.format(20))
        began = time.monotonic()
        with pytest.raises(ServiceMissingError):
            await made.judge(2, "print(8)")
        assert time.monotonic() - began < 1


async def test_a_drop_to_a_weaker_rung_is_told_before_the_verdict_that_shows_it(
    tmp_path: Path, tools: Tools
) -> None:
    settings = sandbox_settings(allow_reduced=True, result_cache=0)
    async with crew(tmp_path, settings=settings) as made:
        top = (await made.judge(1, "print(8)")).outcome.rung
        assert made.workers.rungs == {"python": top}
        tools.vanish()
        tools.end_jails(made.workers.pids["worker-0"])
        for number in (2, 3):
            judged = await made.judge(number, f"print(8)  # {number}")
            assert (judged.score.solved, judged.outcome.rung) == (True, "landlock")
            assert len(made.changed) == 1
        assert made.workers.rungs == {"python": "landlock"}
    ((worker, change),) = [(event.worker, event.change) for event in made.changed]
    assert (worker, change.language, change.before, change.after) == ("worker-0", "python", top, "landlock")
    assert "reduced" in change.layers
    assert "bubblewrap (bwrap) is missing" in change.why
    assert made.lost == []


@on_asyncio
async def test_a_worker_that_takes_the_place_of_another_tells_on_which_rung_it_works_now(
    tmp_path: Path, tools: Tools
) -> None:
    async with crew(tmp_path, settings=sandbox_settings(allow_reduced=True)) as made:
        top = made.workers.rungs["python"]
        tools.fail()
        await made.kill()
        assert (await made.judge(1, "print(8)")).outcome.rung == "landlock"
        tools.come_back()
        await made.kill()
        assert (await made.judge(2, "print( 8)")).outcome.rung == top
    assert [(event.change.before, event.change.after) for event in made.changed] == [
        (top, "landlock"),
        ("landlock", top),
    ]
    assert "no \x1b[31mnamespaces" in made.changed[0].change.why


@on_asyncio
async def test_the_end_of_the_block_does_not_wait_for_a_program(tmp_path: Path) -> None:
    async with anyio.create_task_group() as tasks, crew(tmp_path) as made:
        tasks.start_soon(made.judge, 1, SLOW.format(20))
        await anyio.sleep(0.4)
        family = [pid for each in made.workers.pids.values() for pid in (each, *descendants(each))]
        tasks.cancel_scope.cancel()
        began = time.monotonic()
    assert time.monotonic() - began < 5
    await all_end(family)


@on_asyncio
async def test_workers_that_do_not_come_up_again_are_tried_ever_more_slowly_and_go_on_by_themselves(
    tmp_path: Path,
) -> None:
    verdicts: list[Judged] = []

    async def judge() -> None:
        verdicts.append(await made.judge(1, "print(8)"))

    async with crew(tmp_path, count=2) as made, anyio.create_task_group() as tasks:
        await _kill_all(for_s=3.5)
        tasks.start_soon(judge)  # nobody is up to take it
        assert 8 <= len(made.lost) <= 20, f"{len(made.lost)} starts in 3.5 s"
        cpu_s = _cpu_s()
        await _kill_all(for_s=6.0)
        share = (_cpu_s() - cpu_s) / 6.0
    assert [judged.score.solved for judged in verdicts] == [True]
    assert share < 0.05
    assert len(made.lost) <= 26


async def _kill_all(for_s: float) -> None:
    """For so long no child lives long enough to answer."""
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        for pid in children(os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await anyio.sleep(0.05)


def _cpu_s() -> float:
    """What this process and those of its children that have ended took of the processors."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


@on_asyncio
async def test_a_worker_that_dies_while_idle_is_there_again_before_anybody_asks(tmp_path: Path) -> None:
    async with crew(tmp_path) as made:
        first = made.workers.pids["worker-0"]
        os.kill(first, signal.SIGKILL)
        with anyio.fail_after(10):
            while made.workers.pids.get("worker-0", first) == first:  # noqa: ASYNC110 - nothing tells of it
                await anyio.sleep(0.02)
        assert len(made.lost) == 1


@on_asyncio
async def test_a_worker_that_is_killed_at_the_very_end_leaves_no_control_group(tmp_path: Path) -> None:
    async with crew(tmp_path) as at_work:
        if not groups_of(at_work.workers.pids["worker-0"]):
            pytest.skip("no control group can be made here")
        pid = (await at_work.kill())[0]
    assert groups_of(pid) == []


def groups_of(pid: int) -> list[Path]:
    """The control groups that a process has made."""
    return [
        Path(at, name)
        for at, names, _ in os.walk("/sys/fs/cgroup")
        for name in names
        if name.startswith(f"altlas-{pid}-")
    ]
