"""Daemon-side face of the sandbox worker processes: hands them attempts, takes back verdicts.

    loop     waits for                        unblocked by
    -------  -------------------------------  ----------------------------------------------------
    judge    a turn among the runs            another judge that ends
    judge    the verdict                      the crew, which replaces lost workers, or `ANSWER_S`
    judge    the same program judged by       that other judge, also when it fails
             another judge
    set_up   every worker at work             the crew, which starts it or fails

An attempt that brings down a second worker becomes `internal`, which is never scored.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.events import RungChanged, WorkerLost
from altlas_agent.core.records import Attempt, Judged, Outcome, Score, Status, Task
from altlas_agent.core.requests import Judge, JudgedReply, SetUpWorker, WorkerReady
from altlas_agent.sandbox.crew.memory import Memory
from altlas_agent.sandbox.crew.processes import Crew
from altlas_agent.sandbox.crew.turns import Turns

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from altlas_agent.core.requests import RungChange

    Tell = Callable[[WorkerLost | RungChanged], Awaitable[object]]

ANSWER_S = 180.0
IN_FLIGHT = 2
REMEMBERED = 4_096
_MODULE = "altlas_agent.rewards.service"


class Share:
    """The workers as one run has them: a turn among the other runs. A program is judged once per instance."""

    def __init__(self, crew: Crew, turns: Turns, run: str) -> None:
        self.judged = 0
        self._crew = crew
        self._turns = turns
        self._run = run
        self._verdicts: Memory[Judged] = Memory(REMEMBERED)

    @property
    def cache_hits(self) -> int:
        return self._verdicts.hits

    async def judge(self, task: Task, attempt: Attempt, siblings: tuple[Task, ...]) -> Judged:
        """The verdict on one attempt, from memory when this program was judged on this task before.

        Raises ScoringError when the task itself cannot be judged, and what keeps a lost worker from
        being replaced.
        """
        self.judged += 1
        # On siblings the tokens are rendered anew: the same text may come of another idea.
        key = (task.id, attempt.code, attempt.tokens if siblings else ())
        request = Judge(task=task, attempt=attempt, siblings=siblings)
        found = await self._verdicts.recall(key, partial(self._ask, request), keeps=_may_be_repeated)
        return msgspec.structs.replace(found, attempt=attempt)

    async def _ask(self, request: Judge) -> Judged:
        async with self._turns.turn(self._run):
            reply = await self._crew.ask(request, JudgedReply, timeout_s=ANSWER_S)
        return reply.judged if reply else _given_up(request.attempt)


class Workers:
    """Worker processes that any number of runs share: each run in its turn, whatever another one asks."""

    def __init__(self, crew: Crew, *, count: int) -> None:
        self._crew = crew
        self._turns = Turns(count * IN_FLIGHT)

    def share(self, run: str) -> Share:
        """What a run judges with; `run` is a name of its own."""
        return Share(self._crew, self._turns, run)

    @classmethod
    @asynccontextmanager
    async def start(
        cls, set_up: SetUpWorker, *, count: int, tell: Tell, log_folder: Path
    ) -> AsyncGenerator[Workers]:
        """Start `count` processes, and replace those that are lost until the end of the block.

        `tell` hears of lost workers, and of every change of rung before the verdict that came with it.
        """

        async def lost(name: str, loss: str) -> None:
            await tell(WorkerLost(worker=name, detail=loss))

        async def changed(name: str, change: RungChange) -> None:
            await tell(RungChanged(worker=name, change=change))

        async with Crew.start(
            set_up, count=count, module=_MODULE, on_lost=lost, on_rung_change=changed, log_folder=log_folder
        ) as crew:
            yield cls(crew, count=count)

    @property
    def ready(self) -> WorkerReady:
        """The jail that was proved to work, once `set_up` has returned."""
        return self._crew.first_answer

    @property
    def rungs(self) -> dict[str, str]:
        """By language the rung that programs run on now, or all of them where workers differ."""
        return self._crew.rungs

    async def set_up(self) -> None:
        """Wait until all are at work.

        Raises what a worker said that could not be set up, for example NoJailError.
        """
        await self._crew.ready()

    @property
    def pids(self) -> dict[str, int]:
        """The processes at work, by the names of their workers."""
        return self._crew.pids


def _may_be_repeated(judged: Judged) -> bool:
    return judged.outcome.status not in (Status.INTERNAL, Status.TIMEOUT)


def _given_up(attempt: Attempt) -> Judged:
    outcome = Outcome(status=Status.INTERNAL, stderr="the worker died twice while it ran this program")
    return Judged(attempt=attempt, outcome=outcome, score=Score(value=0.0, parts={}))
