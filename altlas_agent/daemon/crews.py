"""Crews of workers by what they are set up for: runs that need the same share one.

loop     waits for                unblocked by
-------  -----------------------  --------------------------------------------
workers  the jails to be proved   the crew, which starts its workers or fails
_hold    the end of the process   `open`, when its block ends
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from altlas_agent.actors.worker import Workers
from altlas_agent.core.requests import SetUpWorker

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from anyio.abc import TaskGroup, TaskStatus

    from altlas_agent.core.events import RungChanged, WorkerLost
    from altlas_agent.settings.run import Settings

    Hear = Callable[[WorkerLost | RungChanged], Awaitable[object]]
    _Key = tuple[str, str, tuple[str, ...]]


@dataclass(slots=True)
class CrewOfRuns:
    """Workers, and who hears of their losses and their jails: one function for each run that they work for."""

    workers: Workers
    wanted: int
    hearers: dict[str, Hear] = field(default_factory=dict["str", "Hear"])

    async def tell(self, event: WorkerLost | RungChanged) -> None:
        """Pass on what became of a worker."""
        for hear in tuple(self.hearers.values()):
            await hear(event)


class Crews:
    """All worker processes of this process. Made by `open`, which ends them."""

    def __init__(self, tasks: TaskGroup, log_folder: Path) -> None:
        self._tasks = tasks
        self._log_folder = log_folder
        self._crews: dict[_Key, CrewOfRuns] = {}
        self._starting = anyio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, log_folder: Path) -> AsyncGenerator[Crews]:
        """Crews for as long as the block lasts."""
        async with anyio.create_task_group() as tasks:
            try:
                yield cls(tasks, log_folder)
            finally:
                tasks.cancel_scope.cancel()

    @property
    def num_up(self) -> int:
        """How many workers are at work now."""
        return sum(len(crew.workers.pids) for crew in self._crews.values())

    @property
    def num_wanted(self) -> int:
        """How many there should be."""
        return sum(crew.wanted for crew in self._crews.values())

    async def crew(self, settings: Settings, languages: tuple[str, ...]) -> CrewOfRuns:
        """The crew for runs with such settings, started when it is the first.

        Raises what a worker said that could not be set up, for example NoJailError.
        """
        key = (settings.sandbox.model_dump_json(), settings.rewards.model_dump_json(), languages)
        async with self._starting:
            if key not in self._crews:
                self._crews[key] = await self._tasks.start(self._hold, settings, languages)
        return self._crews[key]

    async def _hold(
        self, settings: Settings, languages: tuple[str, ...], *, task_status: TaskStatus[CrewOfRuns]
    ) -> None:
        """Start workers, and keep them until the end."""
        told: list[CrewOfRuns] = []

        async def tell(event: WorkerLost | RungChanged) -> None:
            for crew in told:
                await crew.tell(event)

        set_up = SetUpWorker(settings=settings.model_dump_json(), languages=languages)
        async with Workers.start(
            set_up, count=settings.sandbox.workers, tell=tell, log_folder=self._log_folder
        ) as workers:
            await workers.set_up()
            told.append(CrewOfRuns(workers, settings.sandbox.workers))
            task_status.started(told[0])
            await anyio.sleep_forever()
