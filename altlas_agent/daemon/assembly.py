"""The one place where the parts of a run are put together.

Children start before anything is written: a machine without a jail or with a broken install leaves no
half-made run behind.

    start  lock -> student, workers -> writer -> run row -> bus, recorder -> loop
    stop   the reverse; events that were announced are committed first
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from altlas_agent import __version__
from altlas_agent.actors.recorder import Recorder
from altlas_agent.actors.student import Student
from altlas_agent.actors.supervisor import Reason, Supervisor
from altlas_agent.actors.worker import Workers
from altlas_agent.core.actor import run_actors
from altlas_agent.core.bus import Bus
from altlas_agent.core.clock import SystemClock
from altlas_agent.core.events import JailChosen, RunEnded, RunStarted, WorkerLost
from altlas_agent.core.requests import SetUpWorker
from altlas_agent.daemon.home import HomeLock, prepare_home
from altlas_agent.tasks.curriculum import Curriculum
from storage.rows import EndRow, RunRow
from storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine
    from pathlib import Path

    from altlas_agent.settings.run import Settings
    from altlas_agent.tasks.loader import Suite

    Listener = Callable[[Bus], Coroutine[None, None, None]]

DATABASE = "altlas.db"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPlan:
    """What a run is made of. `home` exists and belongs to us when the run starts."""

    home: Path
    suite: Suite
    settings: Settings
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a run ended; everything else about it is in the store."""

    run_id: int
    reason: Reason
    wall_s: float


async def train(plan: RunPlan, listen: Listener) -> RunResult:
    """One run from beginning to end in this process, with its children. `listen` follows the bus.

    Raises HomeBusyError, StorageError, NoJailError or ServiceMissingError before anything is written;
    later errors end the run as crashed, with everything up to then kept.
    """
    began = time.monotonic()
    prepare_home(plan.home)
    with HomeLock(plan.home):
        async with _children(plan) as (student, workers, lost), Writer(plan.home / DATABASE) as writer:
            first = [entry.instance("train", 0) for entry in plan.suite.entries]
            run_id = await writer.begin_run(_run_row(plan), first)
            bus = Bus(run_id, SystemClock())
            lost.append(bus)
            reason = await _recorded(plan, bus, writer, (student, workers), listen)
            wall_s = time.monotonic() - began
            status = "interrupted" if reason is Reason.STOPPED else "ended"
            await writer.end_run(EndRow(run_id, status, reason, time.time_ns(), wall_s))
    return RunResult(run_id=run_id, reason=reason, wall_s=wall_s)


@asynccontextmanager
async def _children(plan: RunPlan) -> AsyncGenerator[tuple[Student, Workers, list[Bus]]]:
    """Student and workers, started side by side. The list receives the bus once there is one."""
    settings_json = plan.settings.model_dump_json()
    log_folder = plan.home / "log"
    log_folder.mkdir(mode=0o700, exist_ok=True)
    languages = tuple(sorted({entry.file.target_language for entry in plan.suite.entries}))
    buses: list[Bus] = []

    async def on_lost(event: WorkerLost) -> None:
        for bus in buses:
            await bus.publish(event)

    async with AsyncExitStack() as stack:
        set_up = SetUpWorker(settings=settings_json, languages=languages)
        workers = await stack.enter_async_context(
            Workers.start(set_up, count=plan.settings.sandbox.workers, on_lost=on_lost, log_folder=log_folder)
        )
        student = await stack.enter_async_context(
            Student.start(settings_json, seed=plan.settings.run.seed, log_path=log_folder / "student.log")
        )
        yield student, workers, buses


def _run_row(plan: RunPlan) -> RunRow:
    return RunRow(
        name=plan.name,
        suite=plan.suite.name,
        seed=plan.settings.run.seed,
        started_ns=time.time_ns(),
        version=__version__,
        pid=os.getpid(),
        settings_json=plan.settings.model_dump_json(),
    )


async def _recorded(
    plan: RunPlan, bus: Bus, writer: Writer, children: tuple[Student, Workers], listen: Listener
) -> Reason:
    """Run the loop with the recorder and the listener beside it, until everything is committed."""
    student, workers = children
    clock = SystemClock()
    folder = plan.home / "runs" / f"r{bus.run_id}"
    curriculum = Curriculum(plan.suite, plan.settings.tasks, plan.settings.run.seed)
    supervisor = Supervisor(settings=plan.settings, curriculum=curriculum, bus=bus, clock=clock, folder=folder)
    recorder = Recorder(bus, writer)

    async def loop() -> None:
        async with anyio.create_task_group() as beside:
            beside.start_soon(listen, bus)
            beside.start_soon(_stop_on_signal, supervisor)
            await bus.publish(
                RunStarted(
                    run_id=bus.run_id,
                    suite=plan.suite.name,
                    seed=plan.settings.run.seed,
                    tasks=len(plan.suite.entries),
                )
            )
            await bus.publish(JailChosen(rung=_rungs(workers), layers=workers.ready.layers))
            reason = await supervisor.train(student, workers)
            ended = RunEnded(
                run_id=bus.run_id, reason=reason, attempts=supervisor.attempts, solved=len(curriculum.solved)
            )
            last = await bus.publish(ended)
            await recorder.committed(last.seq)
            bus.close()
            beside.cancel_scope.cancel()

    await run_actors([recorder], until=loop)
    assert supervisor.reason is not None, "the loop returned, so it had a reason"
    return supervisor.reason


def _rungs(workers: Workers) -> str:
    return ", ".join(f"{language}: {rung}" for language, rung in workers.ready.rungs.items())


async def _stop_on_signal(supervisor: Supervisor) -> None:
    """The first Ctrl+C or SIGTERM ends the run cleanly; a second one ends the process."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            supervisor.stop()
            return
