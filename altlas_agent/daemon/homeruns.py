"""The runs of one process, over one store and shared crews of workers: what a daemon carries on.

loop     waits for                           unblocked by
-------  ----------------------------------  ----------------------------------------------------
start    the run to be in the store          its children, which start or fail; the writer
_carry   the end of its run                  the run; between two falls, the clock
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import TYPE_CHECKING, NamedTuple

import anyio
from anyio import to_thread

from altlas_agent.actors.supervision.intensity import Limits, Restarts
from altlas_agent.core.clock import SystemClock
from altlas_agent.core.errors import (
    AltlasError,
    NotFoundError,
    ProcessError,
    RunRefusedError,
    StorageError,
    ungrouped,
)
from altlas_agent.core.events import Degraded
from altlas_agent.daemon.api.site import Workers
from altlas_agent.daemon.assembly import begin
from altlas_agent.daemon.crews import Crews
from altlas_agent.daemon.home import log_folder
from altlas_agent.daemon.life import HomeRun
from altlas_agent.daemon.plan import RunPlan, seat, spawned
from altlas_agent.daemon.resume import FRESH, find_interrupted, find_start, refuse_ended
from altlas_agent.settings.load import load, user_file
from altlas_agent.tasks.loader import load_suite
from storage.database import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from anyio.abc import TaskGroup, TaskStatus

    from altlas_agent.core.bus.bus import Bus
    from altlas_agent.core.events import AnyEvent
    from altlas_agent.core.pulse import ActorState
    from altlas_agent.daemon.resume import Start
    from altlas_agent.daemon.serve import Ground
    from storage.database import Pause
    from storage.writer import Writer

_log = logging.getLogger(__name__)


class _Work(NamedTuple):
    """A run to carry from `start` on; a new one has no number."""

    plan: RunPlan
    run_id: int | None
    start: Start
    changes: Mapping[str, object]


class _Fallen(NamedTuple):
    """A run whose children died more often than its loop puts up with."""

    run_id: int
    reason: str


def _nothing(_: AnyEvent) -> None:
    return None


class HomeRuns:
    """Made by `open`, which ends the runs that are left."""

    def __init__(
        self,
        home: Path,
        writer: Writer,
        *,
        crews: Crews,
        tasks: TaskGroup,
        tell: Callable[[AnyEvent], None],
        limits: Limits,
    ) -> None:
        self._home = home
        self._writer = writer
        self._crews = crews
        self._tasks = tasks
        self._tell = tell
        self._limits = limits
        self._live: dict[int, HomeRun] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        home: Path,
        writer: Writer,
        *,
        tell: Callable[[AnyEvent], None] = _nothing,
        limits: Limits | None = None,
    ) -> AsyncGenerator[HomeRuns]:
        """Room for runs as long as the block lasts; those that are left then end in the middle of a step.

        `tell` hears of runs that are given up.
        """
        with ungrouped():
            async with Crews.open(log_folder(home)) as crews, anyio.create_task_group() as tasks:
                try:
                    yield cls(home, writer, crews=crews, tasks=tasks, tell=tell, limits=limits or Limits())
                finally:
                    tasks.cancel_scope.cancel()

    @property
    def workers(self) -> Workers:
        """How many can take a program now, and how many there should be."""
        return Workers(up=self._crews.num_up, wanted=self._crews.num_wanted)

    def actors(self) -> list[ActorState]:
        """The training loops of all runs, in the order of their start."""
        return [run.actor() for run in self._live.values()]

    def live(self) -> tuple[HomeRun, ...]:
        """Those that have not ended, oldest first."""
        return tuple(self._live.values())

    def find(self, run_id: int) -> HomeRun:
        """Raises NotFoundError for one that is not live here."""
        if run_id not in self._live:
            raise NotFoundError("live run", f"r{run_id}", "what is stored is told by: altlas run list")
        return self._live[run_id]

    async def start(self, suite: str, settings: Mapping[str, object], *, name: str = "") -> HomeRun:
        """Begin a run over the suite, with settings by dotted names over those of the user.

        Raises SettingsError, TaskError, NoJailError, ServiceMissingError or StorageError; nothing is
        written then.
        """
        loaded = load(flags=settings, environ={}, project_file=None, user_file=user_file(), profile=None)
        tasks = await to_thread.run_sync(load_suite, suite)
        plan = RunPlan(home=self._home, suite=tasks, settings=loaded.settings, name=name)
        run: HomeRun = await self._tasks.start(partial(self._carry, _Work(plan, None, FRESH, {})))
        return run

    async def restart(self, run_id: int, changes: Mapping[str, object]) -> HomeRun:
        """Go on with a run that was interrupted or crashed, with live settings changed.

        Raises NotFoundError, RunRefusedError, SettingsError or TaskError.
        """
        if run_id in self._live:
            raise RunRefusedError(f"run r{run_id} is under way")
        path = self._home / FILE_NAME
        found = await to_thread.run_sync(find_interrupted, path, run_id)
        refuse_ended(found, steered=bool(changes))
        plan = RunPlan(home=self._home, suite=found.suite, settings=found.settings, name=found.name)
        start = await find_start(path, run_id)
        run: HomeRun = await self._tasks.start(partial(self._carry, _Work(plan, run_id, start, changes)))
        return run

    def tell_of_pause(self, pause: Pause | None) -> None:
        """What the store waits for, or None when it goes on."""
        for run in self._live.values():
            run.tell_of_pause(pause)

    async def _carry(self, work: _Work, *, task_status: TaskStatus[HomeRun]) -> None:
        """Carry a run until it ends. One that fell with its children begins again; too often, it is given up."""
        falls = Restarts(self._limits.group, SystemClock())
        fallen = await self._carried(work, task_status.started)
        while fallen is not None:
            run_id = fallen.run_id
            if not falls.is_allowed():
                self._tell(Degraded(group=f"r{run_id}", reason=fallen.reason))
                _log.error("r%d is given up; go on with it: altlas run resume r%d", run_id, run_id)
                return
            await anyio.sleep(falls.backoff_s(self._limits, Random()))
            falls.count()
            start = await find_start(self._home / FILE_NAME, run_id)
            again = _Work(work.plan, run_id, start, {})
            try:
                fallen = await self._carried(again, lambda _: None)
            except ProcessError as error:  # it died before it was set up
                fallen = _Fallen(run_id, error.message)

    async def _carried(self, work: _Work, began: Callable[[HomeRun], None]) -> _Fallen | None:
        """One time from its start to its end; tells what it fell of when its children died again and again."""
        async with spawned(self._home) as student:
            crew = await self._crews.crew(work.plan.settings, work.plan.languages)
            loop_state = await seat(student, work.plan, work.start)
            run_id = work.run_id or await begin(work.plan, self._writer)
            if work.run_id:
                await self._writer.resume_run(run_id, pid=os.getpid(), now_ns=time.time_ns())
            run = HomeRun(work.plan, run_id, crew, start=work.start, limits=self._limits)
            run.steer(work.changes)
            self._live[run_id] = run
            began(run)
            try:
                await run.live(self._writer, student, loop_state, listen=_nobody)
            except StorageError:
                raise  # without a store there is nothing to live for
            except ProcessError as error:
                _log.error("run r%d fell: %s", run_id, error)
                return _Fallen(run_id, error.message)
            except AltlasError as error:
                _log.error("run r%d crashed: %s; go on with it: altlas run resume r%d", run_id, error, run_id)
            except Exception:  # noqa: BLE001 - a bug in one run: told with its traceback, and the others go on
                _log.exception(
                    "run r%d crashed by a bug; go on with it: altlas run resume r%d", run_id, run_id
                )
            finally:
                del self._live[run_id]
        return None


async def _nobody(bus: Bus, *, task_status: TaskStatus[None]) -> None:
    """Hear nothing: who wants to know reads the store, or subscribes to the bus of the run."""
    del bus
    task_status.started()


def open_host(ground: Ground) -> AbstractAsyncContextManager[HomeRuns]:
    """The runs of a daemon."""
    return HomeRuns.open(ground.home, ground.writer, tell=ground.tell)
