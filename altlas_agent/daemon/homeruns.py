"""The runs of one process, over one store and shared crews of workers: what a daemon carries on.

loop     waits for                           unblocked by
-------  ----------------------------------  ----------------------------------------------------
start    the run to be in the store          its children, which start or fail; the writer
_carry   the end of its run                  the run
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from altlas_agent.core.errors import AltlasError, NotFoundError, RunRefusedError, StorageError, ungrouped
from altlas_agent.daemon.api.site import Workers
from altlas_agent.daemon.assembly import begin
from altlas_agent.daemon.crews import Crews
from altlas_agent.daemon.home import log_folder
from altlas_agent.daemon.life import HomeRun
from altlas_agent.daemon.plan import RunPlan, seated
from altlas_agent.daemon.resume import FRESH, find_interrupted, find_start, refuse_ended
from altlas_agent.settings.load import load, user_file
from altlas_agent.tasks.loader import load_suite
from storage.database import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from anyio.abc import TaskGroup, TaskStatus

    from altlas_agent.core.bus.bus import Bus
    from altlas_agent.core.pulse import ActorState
    from altlas_agent.daemon.resume import Start
    from altlas_agent.daemon.serve import Ground
    from storage.database import Pause
    from storage.writer import Writer

_log = logging.getLogger(__name__)


class HomeRuns:
    """Made by `open`, which ends the runs that are left."""

    def __init__(self, home: Path, writer: Writer, crews: Crews, tasks: TaskGroup) -> None:
        self._home = home
        self._writer = writer
        self._crews = crews
        self._tasks = tasks
        self._live: dict[int, HomeRun] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, home: Path, writer: Writer) -> AsyncGenerator[HomeRuns]:
        """Room for runs as long as the block lasts; those that are left then end in the middle of a step."""
        with ungrouped():
            async with Crews.open(log_folder(home)) as crews, anyio.create_task_group() as tasks:
                try:
                    yield cls(home, writer, crews, tasks)
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
        run: HomeRun = await self._tasks.start(partial(self._carry, plan, None, FRESH, {}))
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
        run: HomeRun = await self._tasks.start(partial(self._carry, plan, run_id, start, changes))
        return run

    def tell_of_pause(self, pause: Pause | None) -> None:
        """What the store waits for, or None when it goes on."""
        for run in self._live.values():
            run.tell_of_pause(pause)

    async def _carry(
        self,
        plan: RunPlan,
        run_id: int | None,
        start: Start,
        changes: Mapping[str, object],
        *,
        task_status: TaskStatus[HomeRun],
    ) -> None:
        crew = await self._crews.crew(plan.settings, plan.languages)
        async with seated(plan, start) as (student, loop_state):
            if run_id is None:
                run_id = await begin(plan, self._writer)
            else:
                await self._writer.resume_run(run_id, pid=os.getpid(), now_ns=time.time_ns())
            run = self._live[run_id] = HomeRun(plan, run_id, crew, start=start)
            run.steer(changes)
            task_status.started(run)
            try:
                await run.live(self._writer, student, loop_state, listen=_nobody)
            except StorageError:
                raise  # without a store there is nothing to live for
            except AltlasError as error:
                _log.error("run r%d crashed: %s; go on with it: altlas run resume r%d", run_id, error, run_id)
            except Exception:  # noqa: BLE001 - a bug in one run: told with its traceback, and the others go on
                _log.exception(
                    "run r%d crashed by a bug; go on with it: altlas run resume r%d", run_id, run_id
                )
            finally:
                del self._live[run_id]


async def _nobody(bus: Bus, *, task_status: TaskStatus[None]) -> None:
    """Hear nothing: who wants to know reads the store, or subscribes to the bus of the run."""
    del bus
    task_status.started()


def open_host(ground: Ground) -> AbstractAsyncContextManager[HomeRuns]:
    """The runs of a daemon."""
    return HomeRuns.open(ground.home, ground.writer)
