"""Worker processes behind one `ask`: a lost one is replaced, and what it held is asked again.

    loop        waits for                        unblocked by
    ----------  -------------------------------  --------------------------------------------------
    ask         the end of its request           `_carry`
    _carry      a worker at work                 `_live`, which starts it or fails
    _carry      the worker's answer              the worker, its death, or the request's deadline
    _dismiss    the end of an unwanted request   `_carry`, or `UNWANTED_S`, after which the worker ends
    _carry      whoever hears of a new rung      `on_rung_change`, which has to end its own waits
    _live       the worker's first answer        the worker, its death, or `START_S`
    _live       a moment between two starts      the clock, `LONGEST_REST_S` at most
    _live       the loss of the worker           a request without an answer; its death; the end of the crew
    start       the groups of killed workers     the kernel, which ends what is in them; a deadline

A worker answers in the order it was asked, so what it was running when it died is the oldest request:
that one brought it down, and after as many `tries` it is given up. A request whose caller is cancelled
keeps its place until it ends, so that blame stays exact, but only `UNWANTED_S` long.

A worker that cannot be started fails after `START_TRIES`. One that worked before is started again and again,
ever more slowly, for `PATIENCE_S`: whoever asks waits meanwhile, so that nothing more is generated, and it
goes on by itself when whatever was in the way is gone.
"""

from __future__ import annotations

import sys
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
import msgspec
from anyio import to_thread

from altlas_agent.core.children.child import ChildProcess
from altlas_agent.core.errors import ActorDied, AltlasError, DeadlineExceeded, ungrouped
from altlas_agent.core.requests import SetUpWorker, WorkerReady, WorkerReply
from altlas_agent.sandbox.walls.cgroup import remove_left_by

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

    from anyio.abc import TaskGroup

    from altlas_agent.core.records import Record
    from altlas_agent.core.requests import RungChange

    OnLost = Callable[[str, str], Awaitable[object]]
    OnRungChange = Callable[[str, RungChange], Awaitable[object]]

Reply = TypeVar("Reply", bound=WorkerReply)

START_S = 120.0
START_TRIES = 3
LONGEST_REST_S = 15.0
PATIENCE_S = 600.0
SOUND_S = 60.0
UNWANTED_S = 1.0
TRIES = 2


class _Job(Generic[Reply]):
    """A request on its way, and how many workers it brought down."""

    def __init__(
        self, request: Record, reply_type: type[Reply], timeout_s: float, unfit: Callable[[Reply], bool]
    ) -> None:
        self.request, self.reply_type, self.timeout_s, self.unfit = request, reply_type, timeout_s, unfit
        self.tries = TRIES
        self.deaths = 0
        self.is_wanted = True
        self.shift: _Shift | None = None
        self.reply: Reply | None = None
        self.error: AltlasError | None = None
        self.done = anyio.Event()


class _Shift:
    """One process at work: what it was asked and has not answered, oldest first."""

    def __init__(self, child: ChildProcess) -> None:
        self.child = child
        self.asked: list[object] = []
        self.began = anyio.current_time()
        self.has_answered = False
        self.culprit: object = None
        self.loss = ""
        self.lost = anyio.Event()

    def end(self, loss: str, culprit: object = None) -> None:
        """It will answer no more. Whoever notices first says so."""
        if not self.lost.is_set():
            self.culprit, self.loss = culprit, loss
            self.lost.set()

    def end_with_child(self, death: str) -> None:
        """It is dead. What it was running is the oldest request."""
        if self.asked:
            self.end(death, self.asked[0])
        else:
            self.end(f"{self.child.name} died while it had nothing to do")


class _Worker:
    """One worker: the process at work, if there is one, or why there will be none."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting = 0
        self.failure: AltlasError | None = None
        self.last_rungs: dict[str, str] = {}
        self.best_rungs: dict[str, str] = {}
        self._shift: _Shift | None = None
        self._changed = anyio.Event()

    @property
    def is_up(self) -> bool:
        return self._shift is not None and not self._shift.lost.is_set()

    @property
    def pid(self) -> int:
        return self._shift.child.pid if self._shift is not None and self.is_up else 0

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


async def _nobody_minds(_name: str, _news: object) -> None:
    return None


class Crew:
    """Worker processes that run `python -m module` and answer alike. Made by `start`."""

    def __init__(self, set_up: SetUpWorker, count: int, module: str, tasks: TaskGroup) -> None:
        self.first_answer = WorkerReady(rungs={}, layers=())
        self.lost = 0
        self._set_up = set_up
        self._argv = [sys.executable, "-m", module]
        self._tasks = tasks
        self._on_rung_change: OnRungChange = _nobody_minds
        self._started = set[int]()
        self._workers = [_Worker(f"worker-{place}") for place in range(count)]

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        set_up: SetUpWorker,
        *,
        count: int,
        module: str,
        on_rung_change: OnRungChange,
        on_lost: OnLost = _nobody_minds,
        log_folder: Path | None = None,
    ) -> AsyncGenerator[Crew]:
        """Start `count` processes, and replace those that are lost until the end of the block.

        Both listeners hear the name of the worker first. A change of rung is told before the answer that
        brought it is handed out.
        """
        pids = set[int]()
        try:
            with ungrouped():
                async with anyio.create_task_group() as tasks:
                    crew = cls(set_up, count, module, tasks)
                    crew._on_rung_change, crew._started = on_rung_change, pids
                    for worker in crew._workers:
                        tasks.start_soon(crew._live, worker, on_lost, log_folder)
                    yield crew
                    tasks.cancel_scope.cancel()
        finally:
            # One that was killed cannot tidy up, and what starts later may be long in coming.
            with anyio.CancelScope(shield=True):
                await to_thread.run_sync(remove_left_by, pids)

    @property
    def pids(self) -> dict[str, int]:
        """The processes that are at work now, by the names of their workers."""
        return {worker.name: worker.pid for worker in self._workers if worker.pid}

    @property
    def rungs(self) -> dict[str, str]:
        """By language the rung that programs run on, or all of them where workers differ."""
        found: dict[str, dict[str, None]] = {}
        for worker in self._workers:
            for language, rung in worker.last_rungs.items():
                found.setdefault(language, {})[rung] = None
        return {language: " or ".join(rungs) for language, rungs in found.items()}

    async def ready(self) -> None:
        """Wait until all are at work; `first_answer` then says what they found.

        Raises what a worker said that could not be set up, for example NoJailError.
        """
        for worker in self._workers:
            await worker.shift()

    async def ask(
        self,
        request: Record,
        reply_type: type[Reply],
        *,
        timeout_s: float,
        tries: int = TRIES,
        unfit: Callable[[Reply], bool] = lambda _: False,
    ) -> Reply | None:
        """The answer of one of the workers, or None when the request brought down `tries` of them.

        An `unfit` answer costs the worker its place and the request is asked again, of a fresh one; the
        last such answer stands. Raises what the handler raised, and what keeps a lost worker from
        being replaced. May be cancelled: what is under way then ends within `UNWANTED_S`.
        """
        job = _Job(request, reply_type, timeout_s, unfit)
        job.tries = tries
        self._tasks.start_soon(self._carry, job)
        try:
            await job.done.wait()
        finally:
            if not job.done.is_set():
                job.is_wanted = False
                self._tasks.start_soon(_dismiss, job)
        if job.error is not None:
            raise job.error
        return job.reply

    async def _carry(self, job: _Job[Reply]) -> None:
        try:
            while job.is_wanted and job.deaths < job.tries and not await self._carried(job):
                pass
        except AltlasError as error:
            job.error = error
        finally:
            job.done.set()

    async def _carried(self, job: _Job[Reply]) -> bool:
        worker = min(self._workers, key=lambda each: (not each.is_up, each.waiting))
        worker.waiting += 1
        try:
            job.shift = await worker.shift()
            return await _answered(job.shift, job, partial(self._hear, worker))
        finally:
            worker.waiting -= 1

    async def _hear(self, worker: _Worker, reply: WorkerReply) -> None:
        for change in reply.rung_changes:
            worker.last_rungs[change.language] = change.after
            worker.best_rungs.setdefault(change.language, change.before)
            await self._on_rung_change(worker.name, change)

    async def _live(self, worker: _Worker, on_lost: OnLost, log_folder: Path | None) -> None:
        """Own the processes of one worker, one after the other."""
        log_path = log_folder / f"{worker.name}.log" if log_folder else None
        pace = _Pace()
        while worker.failure is None:
            try:
                async with ChildProcess.start(name=worker.name, argv=self._argv, log_path=log_path) as child:
                    self._started.add(child.pid)
                    await self._begin(worker, child)
                    pace.has_worked = True
                    shift = _Shift(child)
                    worker.change(shift)
                    await _until_lost(shift)
                    pace.ended(shift)
                    child.kill()
                failure: AltlasError = ActorDied(worker.name, shift.loss)
                loss = shift.loss
            except (ActorDied, DeadlineExceeded) as error:
                failure, loss = error, error.message
            except AltlasError as error:
                worker.change(None, error)
                return
            self.lost += 1
            await on_lost(worker.name, loss)
            if not await pace.may_start_again():
                worker.change(None, failure)

    async def _begin(self, worker: _Worker, child: ChildProcess) -> None:
        """Its first answer, which may be that it works on another rung than the process before it."""
        set_up = msgspec.structs.replace(self._set_up, last=worker.last_rungs, best=worker.best_rungs)
        self.first_answer = ready = await child.ask(set_up, WorkerReady, timeout_s=START_S)
        await self._hear(worker, ready)
        worker.last_rungs |= ready.rungs
        worker.best_rungs = {**ready.rungs, **worker.best_rungs}


class _Pace:
    """How soon a worker is started again: at once, but ever later while it dies without having done anything."""

    def __init__(self) -> None:
        self.has_worked = False
        self._deaths = 0
        self._rested_s = 0.0

    def ended(self, shift: _Shift) -> None:
        """One that answered something, or lived long enough to, counts as sound."""
        if shift.has_answered or anyio.current_time() - shift.began > SOUND_S:
            self._deaths, self._rested_s = 0, 0.0

    async def may_start_again(self) -> bool:
        """Wait as long as it takes; False when there is to be no further start."""
        self._deaths += 1
        if self._deaths < START_TRIES:
            return True
        if not self.has_worked or self._rested_s >= PATIENCE_S:
            return False
        rest_s = min(0.1 * 2 ** (self._deaths - START_TRIES), LONGEST_REST_S)
        await anyio.sleep(rest_s)
        self._rested_s += rest_s
        return True


async def _until_lost(shift: _Shift) -> None:
    """Also when nobody asks it anything: then its death is noticed here."""

    async def notice_death() -> None:
        shift.end_with_child(await shift.child.ended())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(notice_death)
        await shift.lost.wait()
        tasks.cancel_scope.cancel()


async def _answered(
    shift: _Shift, job: _Job[Reply], hear: Callable[[WorkerReply], Awaitable[object]]
) -> bool:
    """Whether the request has its answer; otherwise it is asked again."""
    if not shift.child.is_alive:
        shift.end_with_child(await shift.child.ended())
        return False
    shift.asked.append(job)
    try:
        job.reply = await shift.child.ask(job.request, job.reply_type, timeout_s=job.timeout_s)
    except (ActorDied, DeadlineExceeded) as error:
        shift.end(error.message, shift.asked[0])
        job.deaths += shift.culprit is job
        return False
    finally:
        shift.asked.remove(job)
    shift.has_answered = True
    await hear(job.reply)
    if not job.unfit(job.reply):
        return True
    job.deaths += 1
    shift.end("its sandbox failed")
    return False


async def _dismiss(job: _Job[Reply]) -> None:
    """See to the end of a request that nobody waits for."""
    while not job.done.is_set():
        with anyio.move_on_after(UNWANTED_S):
            await job.done.wait()
        if job.shift is not None and job.shift.asked and job.shift.asked[0] is job:
            job.shift.end("it ran for somebody who no longer waits")
