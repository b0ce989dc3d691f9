"""One run of this process: its bus and recorder, and the lives of its training loop.

loop     waits for                                 unblocked by
-------  ----------------------------------------  -----------------------------------------------
live     the end of the loop, then the last commit  the loop; the recorder, whose failure ends all
_beat    the next heartbeat                         the clock
_rest    a moment before another life               the clock
_lives   the student to be set up                  the student, its death, or its deadline
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, suppress
from random import Random
from typing import TYPE_CHECKING

import anyio
import msgspec
from anyio import to_thread

from altlas_agent.actors.controls import Controls
from altlas_agent.actors.facts import Facts
from altlas_agent.actors.loop import Reason, TrainingLoop
from altlas_agent.actors.recorder import Recorder
from altlas_agent.actors.supervision.intensity import Limits, Restarts
from altlas_agent.core.actor import run_actors
from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.clock import SystemClock
from altlas_agent.core.errors import ProcessError, StorageError, ungrouped
from altlas_agent.core.events import (
    ActorDied,
    ActorRestarted,
    JailChosen,
    Note,
    PolicyBuilt,
    RunEnded,
    RungChanged,
    RunResumed,
    RunStarted,
)
from altlas_agent.core.pulse import ActorState, Life
from altlas_agent.core.states import LoopState
from altlas_agent.daemon.live import State
from altlas_agent.daemon.plan import RunResult, seat, spawned
from altlas_agent.daemon.recall import recalled
from altlas_agent.daemon.resume import FRESH, find_start, suite_sha256
from altlas_agent.settings.live import steered, value_of
from altlas_agent.tasks.curriculum import Curriculum
from storage.database import Pause
from storage.rows import EndRow, HeartbeatRow, Rows

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from pathlib import Path

    from altlas_agent.actors.student import Student
    from altlas_agent.core.events import CheckpointSaved, Progress, WorkerLost
    from altlas_agent.core.requests import ResetWeights
    from altlas_agent.daemon.crews import CrewOfRuns
    from altlas_agent.daemon.plan import Listener, RunPlan
    from altlas_agent.daemon.resume import Start
    from storage.writer import Writer

HEARTBEAT_S = 5.0

_PAUSES = {
    None: "the store goes on",
    Pause.DB_BUSY: "the store waits: another program holds the database",
    Pause.DISK_FULL: "the store waits: the disk is full",
}


class HomeRun:
    """A run that is in the store and is carried on by this process."""

    def __init__(
        self,
        plan: RunPlan,
        run_id: int,
        crew: CrewOfRuns,
        *,
        start: Start = FRESH,
        limits: Limits | None = None,
    ) -> None:
        self.run_id = run_id
        self.bus = Bus(run_id, SystemClock(), last_seq=start.last_seq)
        self._plan = plan
        self._crew = crew
        self._start = start
        self._controls = Controls()
        self._loop: TrainingLoop | None = None
        self._settings = plan.settings
        self._limits = limits or Limits()
        self._restarts = Restarts(self._limits.actor, SystemClock())
        self._last_reason = ""
        self.state = State.STARTING
        self.result: RunResult | None = None

    @property
    def name(self) -> str:
        return self._plan.name

    @property
    def progress(self) -> Progress | None:
        """How far it was after its last step; None before the first."""
        return self._loop.progress() if self._loop else None

    def actor(self) -> ActorState:
        """How its training loop is."""
        return ActorState(
            name="training loop",
            group=f"r{self.run_id}",
            life=Life.WAITING if self.state is State.PAUSED else Life.RUNNING,
            restarts=self._restarts.total,
            silent_s=0.0,
            waits_for="the end of a pause" if self.state is State.PAUSED else "",
            last_reason=self._last_reason,
        )

    def stop(self) -> None:
        """End it, with a checkpoint; asking twice is no error."""
        self.state = State.STOPPING
        self._controls.stop()

    def pause(self) -> None:
        """Start no further step. What is under way is finished."""
        self.state = State.PAUSED
        self._controls.pause()

    def resume(self) -> None:
        """Go on after a pause."""
        self.state = State.RUNNING
        self._controls.resume()

    async def checkpoint(self) -> CheckpointSaved:
        """Save now, between two steps. Raises PolicyError, StorageError, or RunRefusedError at the end."""
        return await self._controls.saved()

    def steer(self, changes: Mapping[str, object]) -> dict[str, object]:
        """Set live settings from the next step on; gives what they were. Raises SettingsError."""
        after = steered(self._settings, changes)
        before = {name: value_of(self._settings, name) for name in changes}
        self._settings = after
        if changes:
            self._controls.steer(changes)
        return before

    def reset(self, request: ResetWeights) -> None:
        """Have weights of the student drawn anew before the next step; a note says so where there is no such layer."""
        self._controls.reset(request)

    async def live(
        self, writer: Writer, student: Student, loop_state: bytes, *, listen: Listener
    ) -> RunResult:
        """Carry the run on until it ends, everything of it stored; its row says how it ended.

        Raises what ended it otherwise: then the row says that it crashed.
        """
        self._crew.hearers[f"r{self.run_id}"] = self._tell
        try:
            async with self._crash_written(writer):
                await self._recorded(writer, student, loop_state, listen=listen)
        finally:
            self.state = State.ENDED if self.result else State.CRASHED
            del self._crew.hearers[f"r{self.run_id}"]
        assert self.result is not None, "the loop returned, so it had a reason"
        status = "interrupted" if self.result.reason.is_by_hand else "ended"
        await writer.end_run(
            EndRow(self.run_id, status, self.result.reason, time.time_ns(), self.result.wall_s)
        )
        return self.result

    async def _recorded(
        self, writer: Writer, student: Student, loop_state: bytes, *, listen: Listener
    ) -> None:
        """Run the loop with the recorder and the listener beside it, until everything is committed."""

        async def until() -> None:
            async with anyio.create_task_group() as beside:
                await beside.start(listen, self.bus)
                beside.start_soon(self._beat, writer)
                await self._announce_start(student)
                self.state = State.STOPPING if self._controls.is_stopping else State.RUNNING
                await self._lives(writer.path, student, loop_state)
                await self.bus.aclose()
                beside.cancel_scope.cancel()

        await run_actors([Recorder(self.bus, writer)], until=until)

    async def _announce_start(self, student: Student) -> None:
        plan, start = self._plan, self._start
        if start is FRESH:
            await self.bus.publish(
                RunStarted(
                    run_id=self.run_id,
                    suite=plan.suite.name,
                    seed=plan.settings.run.seed,
                    tasks=len(plan.suite.entries),
                    suite_path=str(plan.suite.path),
                    suite_sha256=suite_sha256(plan.suite),
                )
            )
        layers = self._crew.workers.ready.layers
        await self.bus.publish(JailChosen(rung=self._rungs(), layers=layers))
        built = student.ready
        await self.bus.publish(PolicyBuilt(parameters=built.parameters, features=built.features))

    async def _lives(self, path: Path, student: Student, loop_state: bytes) -> None:
        """The lives of the loop: when a child dies that it needs, another one goes on from the last checkpoint."""
        error = await self._life(student, loop_state)
        while error is not None:
            await self._mourn(error)
            if self._controls.is_stopping:  # what it held is lost with it, all else is stored
                await self._ended(Reason.STOPPED)
                return
            await self._rest()
            try:
                async with spawned(self._plan.home) as student:
                    self._start = await find_start(path, self.run_id)
                    error = await self._life(student, await seat(student, self._plan, self._start))
            except ProcessError as again:  # it died before it was set up
                error = again

    async def _mourn(self, error: ProcessError) -> None:
        """Say that the loop died. Raises the error when that happens too often."""
        self._last_reason = error.message
        await self.bus.publish_durable(
            ActorDied(actor="training loop", reason=error.message, restarts=self._restarts.total)
        )  # and with it everything before is stored
        if not self._restarts.is_allowed():
            raise error

    async def _rest(self) -> None:
        """A moment before another life."""
        after_s = self._restarts.backoff_s(self._limits, Random())
        await anyio.sleep(after_s)
        self._restarts.count()
        restarts = self._restarts.total
        await self.bus.publish(
            ActorRestarted(actor="training loop", restarts=restarts, after_s=round(after_s, 3))
        )

    async def _life(self, student: Student, loop_state: bytes) -> ProcessError | None:
        """One life of the loop; gives what it died of when a child died that it needs."""
        try:
            with ungrouped():
                await self._train(student, loop_state)
        except ProcessError as error:
            return error
        return None

    async def _train(self, student: Student, loop_state: bytes) -> None:
        plan = self._plan
        curriculum = Curriculum(plan.suite, plan.settings.tasks, plan.settings.run.seed)
        memory = None
        if not loop_state:
            memory = await to_thread.run_sync(recalled, plan.home, plan.suite, plan.settings)
        loop = TrainingLoop(
            settings=plan.settings,
            curriculum=curriculum,
            bus=self.bus,
            facts=Facts(self.bus, self._start.told),
            controls=self._controls,
            clock=SystemClock(),
            folder=plan.home / "runs" / f"r{self.run_id}",
            memory=memory,
        )
        if loop_state:
            loop.restore(msgspec.msgpack.decode(loop_state, type=LoopState))
            await student.steer(loop.settings.model_dump_json())
        self._loop, self._settings = loop, loop.settings
        if self._start is not FRESH:
            file = self._start.checkpoint
            await self.bus.publish(
                RunResumed(
                    version=self._start.version, checkpoint=file.path if file else "", attempts=loop.attempts
                )
            )
        await self._ended(await loop.train(student, self._crew.workers.share(f"r{self.run_id}")))

    async def _ended(self, reason: Reason) -> None:
        loop = self._loop
        attempts, solved, wall_s = (loop.attempts, loop.solved, loop.elapsed_s) if loop else (0, 0, 0.0)
        await self.bus.publish_durable(
            RunEnded(run_id=self.run_id, reason=reason, attempts=attempts, solved=solved)
        )
        self.result = RunResult(run_id=self.run_id, reason=reason, wall_s=wall_s)

    async def _beat(self, writer: Writer) -> None:
        """Have the store say, now and then, that the run lives."""
        while True:
            await writer.submit(Rows(heartbeats=[HeartbeatRow(self.run_id, time.time_ns())]))
            await anyio.sleep(HEARTBEAT_S)

    def _rungs(self) -> str:
        return ", ".join(f"{language}: {rung}" for language, rung in self._crew.workers.rungs.items())

    async def _tell(self, event: WorkerLost | RungChanged) -> None:
        """What became of a worker, or of its jails."""
        with suppress(anyio.ClosedResourceError, StorageError):  # the run is over
            await self.bus.publish(event)
            if isinstance(event, RungChanged):
                await self.bus.publish(JailChosen(rung=self._rungs(), layers=event.change.layers))

    def tell_of_pause(self, pause: Pause | None) -> None:
        """What the store waits for."""
        # A queue that is full waits for the same thing: then the log of the store has to do.
        with suppress(anyio.ClosedResourceError, anyio.WouldBlock, StorageError):
            self.bus.publish_nowait(Note(level="warning" if pause else "info", text=_PAUSES[pause]))

    @asynccontextmanager
    async def _crash_written(self, writer: Writer) -> AsyncGenerator[None]:
        """Have the store say that the run crashed, and why, when the block raises."""
        try:
            with ungrouped():
                yield
        except BaseException as error:  # cancellation too: the store must say how the run ended; raised again
            status, reason = "interrupted", "its process was ended in the middle of a step"
            if isinstance(error, Exception):
                status, reason = "crashed", str(error) or type(error).__name__
            with anyio.CancelScope(shield=True), suppress(StorageError):  # it may be the store that failed
                await writer.end_run(EndRow(self.run_id, status, reason, time.time_ns(), None))
            raise
