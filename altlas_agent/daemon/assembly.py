"""The one place where the parts of a run are put together, in the foreground; `homeruns` does it for many.

Children start before anything is written: a machine without a jail or with a broken install leaves no
half-made run behind.

    start  lock -> student, which loads meanwhile -> workers -> writer -> run row -> bus, recorder -> loop
    stop   the reverse; events that were announced are committed first
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from altlas_agent import __version__
from altlas_agent.core.errors import ungrouped
from altlas_agent.core.events import Note
from altlas_agent.daemon.crews import Crews
from altlas_agent.daemon.home import HomeLock, log_folder, prepare_home
from altlas_agent.daemon.life import HomeRun
from altlas_agent.daemon.plan import Listener, RunPlan, RunResult, seat, spawned
from altlas_agent.daemon.resume import FRESH, find_interrupted, find_start, refuse_ended
from storage.database import FILE_NAME as DATABASE
from storage.rows import RunRow
from storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from pathlib import Path

    from altlas_agent.actors.student import Student
    from altlas_agent.daemon.crews import CrewOfRuns
    from altlas_agent.daemon.resume import Start
    from storage.database import Pause


async def train(plan: RunPlan, listen: Listener) -> RunResult:
    """One run from beginning to end in this process, with its children. `listen` follows the bus.

    Raises HomeBusyError, StorageError, NoJailError or ServiceMissingError before anything is written;
    later errors end the run as crashed, with everything up to then kept.
    """
    prepare_home(plan.home)
    with HomeLock(plan.home), ungrouped():
        async with (
            spawned(plan.home) as student,
            _at_work(plan, student, FRESH) as (crew, _),
            _writer(plan.home) as (writer, hear),
        ):
            run = HomeRun(plan, await begin(plan, writer), crew)
            hear(run)
            return await _carried_on(run, writer, student, b"", listen=listen)


async def go_on(home: Path, run_id: int, changes: Mapping[str, object], *, listen: Listener) -> RunResult:
    """Carry on a run that was interrupted or crashed, with live settings changed, until it ends.

    Raises NotFoundError, RunRefusedError, SettingsError or TaskError before anything is changed, and what `train` raises.
    """
    prepare_home(home)
    with HomeLock(home), ungrouped():
        async with spawned(home) as student:
            path = home / DATABASE
            found = find_interrupted(path, run_id)
            refuse_ended(found, steered=bool(changes))
            plan = RunPlan(home=home, suite=found.suite, settings=found.settings, name=found.name)
            start = await find_start(path, run_id)
            at_work = _at_work(plan, student, start)
            async with at_work as (crew, loop_state), _writer(home) as (writer, hear):
                run = HomeRun(plan, run_id, crew, start=start)
                run.steer(changes)
                hear(run)
                await writer.resume_run(run_id, pid=os.getpid(), now_ns=time.time_ns())
                return await _carried_on(run, writer, student, loop_state, listen=listen)


async def begin(plan: RunPlan, writer: Writer) -> int:
    """Write the row of a new run, with its tasks; gives its number."""
    first = [entry.instance("train", 0) for entry in plan.suite.entries]
    return await writer.begin_run(_run_row(plan, time.time_ns()), first)


@asynccontextmanager
async def _at_work(plan: RunPlan, student: Student, start: Start) -> AsyncGenerator[tuple[CrewOfRuns, bytes]]:
    """The workers, and the student set up; with the state of the loop that lay in the checkpoint."""
    async with Crews.open(log_folder(plan.home)) as crews:
        crew = await crews.crew(plan.settings, plan.languages)
        yield crew, await seat(student, plan, start)


@asynccontextmanager
async def _writer(home: Path) -> AsyncGenerator[tuple[Writer, Callable[[HomeRun], None]]]:
    """The writer of the home, and what to call with the run that is to hear what it waits for."""
    hearers: list[HomeRun] = []

    def tell(pause: Pause | None) -> None:
        for run in hearers:
            run.tell_of_pause(pause)

    async with Writer(home / DATABASE, on_pause=tell) as writer:
        yield writer, hearers.append


async def _carried_on(
    run: HomeRun, writer: Writer, student: Student, loop_state: bytes, *, listen: Listener
) -> RunResult:
    """Live to the end; the first Ctrl+C or SIGTERM ends the run cleanly, a second one the process."""
    async with anyio.create_task_group() as beside:
        beside.start_soon(_stop_on_signal, run)
        await run.live(writer, student, loop_state, listen=listen)
        beside.cancel_scope.cancel()
    assert run.result is not None, "a run that has lived has a result"
    return run.result


async def _stop_on_signal(run: HomeRun) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            run.stop()
            break
    await run.bus.publish(Note(level="info", text="stopping; everything so far is kept"))


def _run_row(plan: RunPlan, started_ns: int) -> RunRow:
    return RunRow(
        name=plan.name,
        suite=plan.suite.name,
        seed=plan.settings.run.seed,
        started_ns=started_ns,
        version=__version__,
        pid=os.getpid(),
        settings_json=plan.settings.model_dump_json(),
    )
