"""Daemon-side face of the sandbox worker processes: hands them attempts, takes back verdicts.

    loop        waits for                        unblocked by
    ----------  -------------------------------  -------------------------------------------------
    judge       a worker with room               another judge that ends
    judge       the worker's verdict             the worker, its death, or `ANSWER_S`
    judge       the same program judged by       that other judge, also when it fails
                another judge
    _restart    the new worker's first answer    the worker, its death, or `START_S`

A worker that dies is replaced, and what it held is judged once more; a second death of the same
attempt is the attempt's own outcome `internal`, which is never scored.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import msgspec

from altlas_agent.core.errors import ActorDied, DeadlineExceeded
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
REMEMBERED = 100_000
_MODULE = "altlas_agent.rewards.service"

Key = tuple[str, str]


class _Pending:
    """A verdict that is being made; others who need the same one wait for it."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.judged: Judged | None = None


class _Worker:
    """One worker process, replaced when it dies."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.child: ChildProcess | None = None
        self.stack = AsyncExitStack()
        self.lock = anyio.Lock()
        self.in_flight = 0


class Workers:
    """All workers of a run behind one `judge`. A program is judged once per task instance."""

    def __init__(self, set_up: SetUpWorker, *, on_lost: OnLost, log_folder: Path) -> None:
        self._set_up = set_up
        self._on_lost = on_lost
        self._log_folder = log_folder
        self._workers: list[_Worker] = []
        self._room = anyio.Semaphore(1)
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
        """Start `count` processes. `ready` then holds the jail that was proved to work.

        Raises ProcessError with the worker's own words when no jail works here.
        """
        workers = cls(set_up, on_lost=on_lost, log_folder=log_folder)
        workers._room = anyio.Semaphore(count * IN_FLIGHT)
        async with AsyncExitStack() as stack:
            for place in range(count):
                worker = _Worker(f"worker-{place}")
                workers._workers.append(worker)
                stack.push_async_callback(worker.stack.aclose)
                workers.ready = await workers._launch(worker)
            yield workers

    async def judge(self, task: Task, attempt: Attempt, siblings: tuple[Task, ...]) -> Judged:
        """The verdict on one attempt, from memory when this program was judged on this task before."""
        self.judged += 1
        key = (task.id, attempt.code)
        while (found := self._verdicts.get(key)) is None:
            pending = self._pending.get(key)
            if pending is None:
                return await self._judge_anew(key, task, attempt, siblings)
            await pending.done.wait()
        self.cache_hits += 1
        self._verdicts.move_to_end(key)
        return msgspec.structs.replace(found, attempt=attempt)

    async def _judge_anew(self, key: Key, task: Task, attempt: Attempt, siblings: tuple[Task, ...]) -> Judged:
        pending = self._pending[key] = _Pending()
        try:
            async with self._room:
                judged = await self._ask(Judge(task=task, attempt=attempt, siblings=siblings))
        finally:
            del self._pending[key]
            pending.done.set()
        if judged.outcome.status not in (Status.INTERNAL, Status.TIMEOUT):
            self._verdicts[key] = judged
            if len(self._verdicts) > REMEMBERED:
                self._verdicts.popitem(last=False)
        return judged

    async def _ask(self, request: Judge) -> Judged:
        for _ in range(2):
            worker = min(self._workers, key=lambda each: each.in_flight)
            worker.in_flight += 1
            child = worker.child
            assert child is not None, "a worker has its child from its launch on"
            try:
                return (await child.ask(request, JudgedReply, timeout_s=ANSWER_S)).judged
            except (ActorDied, DeadlineExceeded) as error:
                await self._replace(worker, child, error)
            finally:
                worker.in_flight -= 1
        return _lost(request.attempt)

    async def _replace(self, worker: _Worker, lost: ChildProcess, error: ActorDied | DeadlineExceeded) -> None:
        """Start the worker anew, once for all who were waiting for it."""
        async with worker.lock:
            if worker.child is not lost:
                return
            await self._on_lost(WorkerLost(worker=worker.name, detail=error.message))
            lost.kill()
            await worker.stack.aclose()
            worker.stack = AsyncExitStack()
            await self._launch(worker)

    async def _launch(self, worker: _Worker) -> WorkerReady:
        argv = [sys.executable, "-m", _MODULE]
        log_path = self._log_folder / f"{worker.name}.log"
        worker.child = await worker.stack.enter_async_context(
            ChildProcess.start(name=worker.name, argv=argv, log_path=log_path)
        )
        return await worker.child.ask(self._set_up, WorkerReady, timeout_s=START_S)


def _lost(attempt: Attempt) -> Judged:
    outcome = Outcome(status=Status.INTERNAL, stderr="the worker died twice while it ran this program")
    return Judged(attempt=attempt, outcome=outcome, score=Score(value=0.0, parts={}))
