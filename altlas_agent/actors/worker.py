"""Daemon-side face of the sandbox worker processes: hands them attempts, takes back verdicts.

    loop     waits for                        unblocked by
    -------  -------------------------------  ----------------------------------------------------
    judge    room among the workers           another judge that ends
    set_up   every worker at work             `_live`, which starts it or fails
    judge    a worker at work                 `_live`, which starts it or fails
    judge    the worker's verdict             the worker, its death, or `ANSWER_S`
    judge    the same program judged by       that other judge, also when it fails
             another judge
    _live    the worker's first answer        the worker, its death, or `START_S`
    _live    the loss of the worker           a judge that got no answer; the end of the run

A worker that dies or does not answer is replaced, and what it held is judged again. It answers in the
order it was asked, so what it was running is the oldest request: that attempt brought it down. A
second time makes `internal` of the attempt, which is never scored.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import msgspec

from altlas_agent.core.errors import ActorDied, AltlasError, DeadlineExceeded, ungrouped
from altlas_agent.core.events import WorkerLost
from altlas_agent.core.process import ChildProcess
from altlas_agent.core.records import Attempt, Judged, Outcome, Score, Status, Task
from altlas_agent.core.requests import Judge, JudgedReply, SetUpWorker, WorkerReady

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    OnLost = Callable[[WorkerLost], Awaitable[object]]

ANSWER_S = 180.0
START_S = 120.0
IN_FLIGHT = 2
MAX_DEATHS = 2
REMEMBERED = 100_000
_MODULE = "altlas_agent.rewards.service"

Key = tuple[str, str, tuple[int, ...]]


class _Pending:
    """A verdict that is being made; others who need the same one wait for it."""

    def __init__(self) -> None:
        self.done = anyio.Event()


class _Job:
    """A request on its way, and how many workers it brought down."""

    def __init__(self, request: Judge) -> None:
        self.request = request
        self.deaths = 0


class _Shift:
    """One process at work: what it was asked and has not answered, oldest first."""

    def __init__(self, child: ChildProcess) -> None:
        self.child = child
        self.asked: list[_Job] = []
        self.culprit: _Job | None = None
        self.loss = ""
        self.lost = anyio.Event()

    def end(self, loss: str) -> None:
        """It will answer no more. Whoever notices first says so."""
        if not self.lost.is_set():
            self.culprit = self.asked[0] if self.asked else None
            self.loss = loss
            self.lost.set()


class _Worker:
    """One worker: the process at work, if there is one, or why there will be none."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting = 0
        self.failure: AltlasError | None = None
        self._shift: _Shift | None = None
        self._changed = anyio.Event()

    @property
    def pid(self) -> int | None:
        """None while it is being replaced."""
        return None if self._shift is None or self._shift.lost.is_set() else self._shift.child.pid

    async def shift(self) -> _Shift:
        """The process at work; waits for one. Raises what keeps it from being started."""
        while self._shift is None or self._shift.lost.is_set():
            if self.failure is not None:
                raise self.failure
            await self._changed.wait()
        return self._shift

    def change(self, shift: _Shift | None, failure: AltlasError | None = None) -> None:
        """Another process begins, or none ever will."""
        self._shift, self.failure = shift, failure
        self._changed.set()
        self._changed = anyio.Event()


class Workers:
    """All workers of a run behind one `judge`. A program is judged once per task instance."""

    def __init__(self, set_up: SetUpWorker, *, count: int, on_lost: OnLost, log_folder: Path) -> None:
        self._set_up = set_up
        self._on_lost = on_lost
        self._log_folder = log_folder
        self._workers = [_Worker(f"worker-{place}") for place in range(count)]
        self._room = anyio.Semaphore(count * IN_FLIGHT)
        self._verdicts: OrderedDict[Key, Judged] = OrderedDict()
        self._pending: dict[Key, _Pending] = {}
        self.ready = WorkerReady(rungs={}, layers=())
        self.judged = 0
        self.cache_hits = 0

    @classmethod
    @asynccontextmanager
    async def start(
        cls, set_up: SetUpWorker, *, count: int, on_lost: OnLost, log_folder: Path
    ) -> AsyncGenerator[Workers]:
        """Start `count` processes, and replace those that are lost until the end of the block."""
        workers = cls(set_up, count=count, on_lost=on_lost, log_folder=log_folder)
        with ungrouped():
            async with anyio.create_task_group() as tasks:
                for worker in workers._workers:
                    tasks.start_soon(workers._live, worker)
                yield workers
                tasks.cancel_scope.cancel()

    async def set_up(self) -> None:
        """Wait until all are at work; `ready` then holds the jail that was proved to work.

        Raises what a worker said that could not be set up, for example NoJailError.
        """
        for worker in self._workers:
            await worker.shift()

    @property
    def pids(self) -> dict[str, int]:
        """The processes at work, by the names of their workers."""
        return {worker.name: worker.pid for worker in self._workers if worker.pid is not None}

    async def judge(self, task: Task, attempt: Attempt, siblings: tuple[Task, ...]) -> Judged:
        """The verdict on one attempt, from memory when this program was judged on this task before.

        Raises ScoringError when the task itself cannot be judged, and what keeps a lost worker from
        being replaced.
        """
        self.judged += 1
        # On siblings the tokens are rendered anew: the same text may come of another idea.
        key = (task.id, attempt.code, attempt.tokens if siblings else ())
        while (found := self._verdicts.get(key)) is None:
            pending = self._pending.get(key)
            if pending is None:
                return await self._judge_anew(key, Judge(task=task, attempt=attempt, siblings=siblings))
            await pending.done.wait()
        self.cache_hits += 1
        self._verdicts.move_to_end(key)
        return msgspec.structs.replace(found, attempt=attempt)

    async def _judge_anew(self, key: Key, request: Judge) -> Judged:
        pending = self._pending[key] = _Pending()
        try:
            async with self._room:
                judged = await self._ask_until_answered(request)
        finally:
            del self._pending[key]
            pending.done.set()
        if judged.outcome.status not in (Status.INTERNAL, Status.TIMEOUT):
            self._verdicts[key] = judged
            if len(self._verdicts) > REMEMBERED:
                self._verdicts.popitem(last=False)
        return judged

    async def _ask_until_answered(self, request: Judge) -> Judged:
        job = _Job(request)
        while job.deaths < MAX_DEATHS:
            worker = min(self._workers, key=lambda each: (each.pid is None, each.waiting))
            worker.waiting += 1
            try:
                judged = await _ask(await worker.shift(), job)
            finally:
                worker.waiting -= 1
            if judged is not None:
                return judged
        return _given_up(request.attempt)

    async def _live(self, worker: _Worker) -> None:
        """Own the processes of one worker, one after the other."""
        argv = [sys.executable, "-m", _MODULE]
        log_path = self._log_folder / f"{worker.name}.log"
        while worker.failure is None:
            try:
                async with ChildProcess.start(name=worker.name, argv=argv, log_path=log_path) as child:
                    self.ready = await child.ask(self._set_up, WorkerReady, timeout_s=START_S)
                    shift = _Shift(child)
                    worker.change(shift)
                    await shift.lost.wait()
                    child.kill()
                await self._on_lost(WorkerLost(worker=worker.name, detail=shift.loss))
            except AltlasError as error:
                worker.change(None, error)


async def _ask(shift: _Shift, job: _Job) -> Judged | None:
    """The verdict, or None when the worker was lost."""
    if not shift.child.is_alive:
        shift.end(f"{shift.child.name} died while it had nothing to do")
        return None
    shift.asked.append(job)
    try:
        return (await shift.child.ask(job.request, JudgedReply, timeout_s=ANSWER_S)).judged
    except (ActorDied, DeadlineExceeded) as error:
        shift.end(error.message)
        job.deaths += shift.culprit is job
        return None
    finally:
        shift.asked.remove(job)


def _given_up(attempt: Attempt) -> Judged:
    outcome = Outcome(status=Status.INTERNAL, stderr="the worker died twice while it ran this program")
    return Judged(attempt=attempt, outcome=outcome, score=Score(value=0.0, parts={}))
