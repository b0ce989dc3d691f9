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
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import anyio

from altlas_agent import __version__
from altlas_agent.actors.loop import Reason, TrainingLoop
from altlas_agent.actors.recorder import Recorder
from altlas_agent.actors.student import Student
from altlas_agent.actors.worker import Workers
from altlas_agent.core.actor import run_actors
from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.clock import SystemClock
from altlas_agent.core.errors import StorageError, ungrouped
from altlas_agent.core.events import JailChosen, Note, RunEnded, RungChanged, RunStarted
from altlas_agent.core.requests import SetUpWorker
from altlas_agent.daemon.home import HomeLock, prepare_home
from altlas_agent.tasks.curriculum import Curriculum
from storage.database import Pause
from storage.rows import EndRow, RunRow
from storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from anyio.abc import TaskStatus

    from altlas_agent.core.events import WorkerLost
    from altlas_agent.settings.run import Settings
    from altlas_agent.tasks.loader import Suite

DATABASE = "altlas.db"


class Listener(Protocol):
    """Follows the bus until it ends; tells `task_status` when it has begun to listen."""

    async def __call__(self, bus: Bus, *, task_status: TaskStatus[None]) -> None:
        """What it raises ends the run."""
        ...


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


_PAUSES = {
    Pause.DB_BUSY: "another program has locked the database; the run waits for it",
    Pause.DISK_FULL: "the disk is full; the run waits for room",
    None: "the database can be written again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Children:
    """The processes of a run, all of them ready."""

    student: Student
    workers: Workers
    news: _News


class _News:
    """Passes on what becomes of the workers, their jails and the store while there is a bus to tell it on."""

    def __init__(self) -> None:
        self.bus: Bus | None = None
        self.workers: Workers | None = None

    async def tell(self, event: WorkerLost | RungChanged) -> None:
        if self.bus is None:
            return
        with suppress(anyio.ClosedResourceError, StorageError):  # the run is over
            await self.bus.publish(event)
            if isinstance(event, RungChanged) and self.workers is not None:
                layers = event.change.layers
                await self.bus.publish(JailChosen(rung=_rungs(self.workers), layers=layers))

    def tell_of_pause(self, pause: Pause | None) -> None:
        if self.bus is not None:
            # A queue that is full waits for the same thing: then the log of the store has to do.
            with suppress(anyio.ClosedResourceError, anyio.WouldBlock):
                note = Note(level="warning" if pause else "info", text=_PAUSES[pause])
                self.bus.publish_nowait(note)


async def train(plan: RunPlan, listen: Listener) -> RunResult:
    """One run from beginning to end in this process, with its children. `listen` follows the bus.

    Raises HomeBusyError, StorageError, NoJailError or ServiceMissingError before anything is written;
    later errors end the run as crashed, with everything up to then kept.
    """
    began, started_ns = time.monotonic(), time.time_ns()
    prepare_home(plan.home)
    with HomeLock(plan.home), ungrouped():
        async with (
            _children(plan) as children,
            Writer(plan.home / DATABASE, on_pause=children.news.tell_of_pause) as writer,
        ):
            first = [entry.instance("train", 0) for entry in plan.suite.entries]
            run_id = await writer.begin_run(_run_row(plan, started_ns), first)
            async with _crash_written(writer, run_id):
                reason = await _recorded(plan, run_id, writer, children=children, listen=listen)
            wall_s = time.monotonic() - began
            status = "interrupted" if reason.is_by_hand else "ended"
            await writer.end_run(EndRow(run_id, status, reason, time.time_ns(), wall_s))
    return RunResult(run_id=run_id, reason=reason, wall_s=wall_s)


@asynccontextmanager
async def _children(plan: RunPlan) -> AsyncGenerator[_Children]:
    """Student and workers, started side by side."""
    settings_json = plan.settings.model_dump_json()
    log_folder = plan.home / "log"
    log_folder.mkdir(mode=0o700, exist_ok=True)
    languages = tuple(sorted({entry.file.target_language for entry in plan.suite.entries}))
    set_up = SetUpWorker(settings=settings_json, languages=languages)
    news = _News()
    async with (
        Workers.start(
            set_up, count=plan.settings.sandbox.workers, tell=news.tell, log_folder=log_folder
        ) as workers,
        Student.start(log_path=log_folder / "student.log") as student,
    ):
        news.workers = workers
        async with anyio.create_task_group() as both:
            both.start_soon(partial(student.set_up, settings_json, seed=plan.settings.run.seed))
            both.start_soon(workers.set_up)
        yield _Children(student=student, workers=workers, news=news)


@asynccontextmanager
async def _crash_written(writer: Writer, run_id: int) -> AsyncGenerator[None]:
    """Have the store say that the run crashed, and why, when the block raises."""
    try:
        with ungrouped():
            yield
    except BaseException as error:  # cancellation too: the store must say how the run ended; raised again
        status = "crashed" if isinstance(error, Exception) else "interrupted"
        reason = str(error) or type(error).__name__
        with anyio.CancelScope(shield=True), suppress(StorageError):  # it may be the store that failed
            await writer.end_run(EndRow(run_id, status, reason, time.time_ns(), None))
        raise


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


async def _recorded(
    plan: RunPlan, run_id: int, writer: Writer, *, children: _Children, listen: Listener
) -> Reason:
    """Run the loop with the recorder and the listener beside it, until everything is committed."""
    clock = SystemClock()
    workers = children.workers
    bus = children.news.bus = Bus(run_id, clock)
    folder = plan.home / "runs" / f"r{run_id}"
    curriculum = Curriculum(plan.suite, plan.settings.tasks, plan.settings.run.seed)
    training = TrainingLoop(
        settings=plan.settings, curriculum=curriculum, bus=bus, clock=clock, folder=folder
    )
    recorder = Recorder(bus, writer)

    async def loop() -> None:
        async with anyio.create_task_group() as beside:
            await beside.start(listen, bus)
            beside.start_soon(_stop_on_signal, training, bus)
            await bus.publish(
                RunStarted(
                    run_id=run_id,
                    suite=plan.suite.name,
                    seed=plan.settings.run.seed,
                    tasks=len(plan.suite.entries),
                )
            )
            await bus.publish(JailChosen(rung=_rungs(workers), layers=workers.ready.layers))
            reason = await training.train(children.student, workers)
            ended = RunEnded(
                run_id=run_id, reason=reason, attempts=training.attempts, solved=len(curriculum.solved)
            )
            await bus.publish_durable(ended)
            await bus.aclose()
            beside.cancel_scope.cancel()

    await run_actors([recorder], until=loop)
    assert training.reason is not None, "the loop returned, so it had a reason"
    return training.reason


def _rungs(workers: Workers) -> str:
    return ", ".join(f"{language}: {rung}" for language, rung in workers.rungs.items())


async def _stop_on_signal(training: TrainingLoop, bus: Bus) -> None:
    """The first Ctrl+C or SIGTERM ends the run cleanly; a second one ends the process."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            training.stop()
            break
    await bus.publish(Note(level="info", text="stopping; everything so far is kept"))
