"""Proves tasks in worker processes, several at once, and tells the proofs in order.

    loop      waits for                        unblocked by
    --------  -------------------------------  ---------------------------------------------------
    _work     its thread, which proves a task  the thread
    (thread)  the verdict on a program         the worker process, its death, or the deadline

A worker process that dies or does not answer is replaced; the task it worked on counts as not proved.
"""

from __future__ import annotations

import sys
from collections import deque
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio import from_thread, to_thread

from altlas_agent.core.children.child import ChildProcess
from altlas_agent.core.errors import ProcessError, ungrouped
from altlas_agent.core.records import Arm, Attempt, Limits, Outcome, Program, RunResult, Score, Task
from altlas_agent.core.requests import Execute, Executed, Judge, JudgedReply, SetUpWorker, WorkerReady
from altlas_agent.tasks.checks import Proof, prove

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from altlas_agent.tasks.loader import Entry

START_S = 120.0
SLACK_S = 60.0
"""What an answer may take beyond the limits of the programs behind it."""

_MODULE = "altlas_agent.rewards.service"


async def prove_all(
    entries: Sequence[Entry], set_up: SetUpWorker, *, jobs: int, tell: Callable[[Proof], None]
) -> None:
    """Prove every entry in `jobs` worker processes; `tell` hears each proof, in the order of the entries.

    Raises NoJailError, ServiceMissingError or ProcessError when a worker process cannot be set up.
    """
    work = _Work(entries, tell)
    limiter = anyio.CapacityLimiter(jobs)
    with ungrouped():
        async with anyio.create_task_group() as tasks:
            for number in range(min(jobs, len(entries))):
                tasks.start_soon(_work, f"worker-{number}", set_up, work, limiter)


class _Work:
    """What is still to be proved, and the proofs that wait for their turn to be told."""

    def __init__(self, entries: Sequence[Entry], tell: Callable[[Proof], None]) -> None:
        self.waiting = deque(enumerate(entries))
        self._tell = tell
        self._done: dict[int, Proof] = {}
        self._told = 0

    def take(self, place: int, proof: Proof) -> None:
        self._done[place] = proof
        while self._told in self._done:
            self._tell(self._done.pop(self._told))
            self._told += 1


async def _work(name: str, set_up: SetUpWorker, work: _Work, limiter: anyio.CapacityLimiter) -> None:
    """Prove one entry after the other, with one worker process as long as it lives."""
    while work.waiting:
        async with ChildProcess.start(name=name, argv=[sys.executable, "-m", _MODULE]) as child:
            await child.ask(set_up, WorkerReady, timeout_s=START_S)
            while work.waiting and child.is_alive:
                place, entry = work.waiting.popleft()
                work.take(place, await to_thread.run_sync(prove_by, Worker(child), entry, limiter=limiter))


def prove_by(worker: Worker, entry: Entry) -> Proof:
    """Prove one entry, from a thread of the event loop that the worker process belongs to."""
    try:
        return prove(entry, worker.judge, worker.run)
    except ProcessError as error:
        worker.child.kill()
        return Proof(key=entry.key, instances=0, failures=(f"the sandbox worker was lost: {error.message}",))


class Worker:
    """A worker process as plain functions, to be called from a thread."""

    def __init__(self, child: ChildProcess) -> None:
        self.child = child

    def judge(self, task: Task, code: str) -> tuple[Outcome, Score]:
        attempt = Attempt(
            number=0,
            group=0,
            task_id=task.id,
            code=code,
            tokens=(),
            logps=(),
            policy_version=0,
            arm=Arm.POLICY,
        )
        timeout_s = SLACK_S + 2 * task.limits.wall_s * (1 + len(task.cases))
        ask = partial(self.child.ask, Judge(task=task, attempt=attempt), JudgedReply, timeout_s=timeout_s)
        judged = from_thread.run(ask).judged
        return judged.outcome, judged.score

    def run(self, program: Program, limits: Limits) -> RunResult:
        timeout_s = SLACK_S + 2 * limits.wall_s
        ask = partial(self.child.ask, Execute(program=program, limits=limits), Executed, timeout_s=timeout_s)
        return from_thread.run(ask).result
