"""Runs that do nothing but tell: real buses, recorders and a real store under a script instead of a student.

Started as a program it is a whole daemon of such runs: `python -m tests.daemon.scripted HOME`.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import CancelScope

from altlas_agent.actors.recorder import Recorder
from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.clock import SystemClock
from altlas_agent.core.errors import AltlasError, NotFoundError, SettingsError, TaskError
from altlas_agent.core.events import AttemptScored, CheckpointSaved, Note, Progress, RunEnded, WorkerLost
from altlas_agent.daemon.api import guard
from altlas_agent.daemon.api.site import Workers
from altlas_agent.daemon.live import State
from altlas_agent.daemon.serve import Ground, Plan, serve
from altlas_agent.settings.daemon import DaemonSettings
from storage.rows import EndRow
from tests.builders import make_judged, make_run_row, make_task

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from anyio.abc import TaskGroup

    from altlas_agent.core.pulse import ActorState
    from altlas_agent.daemon.api.site import Host
    from storage.database import Pause

SCRIPT: dict[str, object] = {
    "script.rate": 50.0,
    "script.burst": 1,
    "script.attempts": 0,
    "script.block_s": 0.0,
    "script.stubborn": False,
    "script.workers": 1,
}
"""Bursts a second, how many attempts are in one, how many there are (0: no end), how long the loop is blocked before the first one, whether a wish to
stop is heard, and how many workers are up."""
LIVE = {"script.rate"}

CLIENT_S = 4.0
"""How long a client may take for a request, and to read."""


@dataclass
class ScriptedRun:
    """A run that scores attempts, one like the other."""

    run_id: int
    name: str
    ground: Ground
    script: dict[str, object]
    state: State = State.STARTING
    progress: Progress | None = None
    told: int = 0
    stopping: anyio.Event = field(default_factory=anyio.Event)

    def __post_init__(self) -> None:
        self.bus = Bus(self.run_id, SystemClock())

    def stop(self) -> None:
        self.state = State.STOPPING
        if not self.script["script.stubborn"]:
            self.stopping.set()

    def pause(self) -> None:
        self.state = State.PAUSED

    def resume(self) -> None:
        self.state = State.RUNNING

    async def checkpoint(self) -> CheckpointSaved:
        saved = CheckpointSaved(version=self.told, path="nowhere", sha256="ab" * 32)
        await self.bus.publish_durable(saved)
        return saved

    def steer(self, changes: Mapping[str, object]) -> dict[str, object]:
        if unknown := set(changes) - LIVE:
            raise SettingsError(f"not live: {', '.join(sorted(unknown))}")
        before = {name: self.script[name] for name in changes}
        self.script.update(changes)
        return before

    async def live(self) -> None:
        """To the end, with its row in the store."""
        recorder = Recorder(self.bus, self.ground.writer)
        reason = "stopped"
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(recorder.run)
                if self.state is State.STARTING:
                    self.state = State.RUNNING
                time.sleep(float(str(self.script["script.block_s"])))  # noqa: ASYNC251 - what a bug would do
                await self._attempts()
                await self.bus.publish_durable(
                    RunEnded(run_id=self.run_id, reason=reason, attempts=self.told, solved=0)
                )
                self.state = State.ENDED
                self.bus.close()
        finally:
            with CancelScope(shield=True):
                await self.ground.writer.end_run(EndRow(self.run_id, "interrupted", reason, time.time_ns()))

    async def _attempts(self) -> None:
        limit = int(str(self.script["script.attempts"]))
        while not self.stopping.is_set() and (not limit or self.told < limit):
            rate = float(str(self.script["script.rate"]))
            with anyio.move_on_after(max(0.0, 1 / rate - 0.0005)):
                await self.stopping.wait()
            if self.state is State.PAUSED:
                continue
            for _ in range(int(str(self.script["script.burst"]))):
                await self._attempt()

    async def _attempt(self) -> None:
        self.told += 1
        await self.bus.publish(AttemptScored(judged=make_judged(self.told, code="print('hostile')")))
        rate = float(str(self.script["script.rate"]))
        self.progress = Progress(attempts=self.told, solved=0, best_score=0.5, attempts_per_s=rate)
        await self.bus.publish(self.progress)
        if self.told % 100 == 0:
            await self.bus.publish(WorkerLost(worker="worker-1", detail="for the control lane"))


class ScriptedHost:
    """All such runs of this process."""

    def __init__(self, ground: Ground, tasks: TaskGroup) -> None:
        self._ground = ground
        self._tasks = tasks
        self._runs: dict[int, ScriptedRun] = {}
        self.pauses: list[Pause | None] = []
        self.trouble: AltlasError | None = None

    @property
    def workers(self) -> Workers:
        live = self.live()
        up = sum(int(str(run.script["script.workers"])) for run in live)
        return Workers(up=up, wanted=len(live))

    def live(self) -> tuple[ScriptedRun, ...]:
        return tuple(run for run in self._runs.values() if run.state is not State.ENDED)

    def find(self, run_id: int) -> ScriptedRun:
        found = self._runs.get(run_id)
        if found is None or found.state is State.ENDED:
            raise NotFoundError("live run", f"r{run_id}", "those of this daemon: /v1/runs")
        return found

    async def start(self, suite: str, settings: Mapping[str, object], *, name: str = "") -> ScriptedRun:
        if suite == "broken":
            raise TaskError("broken", "not a suite")
        if unknown := set(settings) - set(SCRIPT):
            raise SettingsError(f"unknown: {', '.join(sorted(unknown))}")
        run_id = await self._ground.writer.begin_run(make_run_row(name), [make_task()])
        run = self._runs[run_id] = ScriptedRun(run_id, name, self._ground, SCRIPT | dict(settings))
        self._tasks.start_soon(run.live)
        return run

    async def restart(self, run_id: int, changes: Mapping[str, object]) -> ScriptedRun:
        raise NotFoundError("interrupted run", f"r{run_id}", "altlas run list")

    def actors(self) -> tuple[ActorState, ...]:
        return ()

    def tell_of_pause(self, pause: Pause | None) -> None:
        self.pauses.append(pause)
        for run in self.live():
            run.bus.publish_nowait(Note(level="info", text=f"the store: {pause}"))


@asynccontextmanager
async def open_scripted(ground: Ground) -> AsyncGenerator[Host]:
    """The host of such runs."""
    async with anyio.create_task_group() as tasks:
        try:
            yield ScriptedHost(ground, tasks)
        finally:
            tasks.cancel_scope.cancel()


def main(home: str, *settings: str) -> None:
    """A whole daemon; settings as `max_connections=8`. Clients have less time than usual: tests wait for its end."""
    guard.REQUEST_S = guard.WRITE_S = CLIENT_S
    given = {name: int(value) for name, _, value in (each.partition("=") for each in settings)}
    plan = Plan(
        home=Path(home),
        settings=DaemonSettings.model_validate(given),
        environ=os.environ,
        open_host=open_scripted,
    )
    try:
        anyio.run(serve, plan)
    except AltlasError as error:
        sys.stderr.write(error.message)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(*sys.argv[1:])
