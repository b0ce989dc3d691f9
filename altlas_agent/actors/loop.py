"""Picks tasks, carries each batch round the loop, and ends the run.

   tasks -- pick --> student.generate --> workers.judge --> student.learn --> slot freed

    loop     waits for                      unblocked by
    -------  -----------------------------  ------------------------------------------------------
    train    the student's answer           the student, its death, or its deadline
    train    the next batch, in order       the judges of that batch; the end of the run
    _judge   a verdict of each attempt      the workers, their death, or their deadline

`staleness` batches may be judged while the student learns from an older one. The calls to the student
come in an order that depends on the number of the batch only: generate 0 .. generate s, then learn i,
generate i + s + 1. Results are consumed in that order too, so a seed gives the same run whatever the
timing. Stopping by time or by hand is the one thing that depends on the clock.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING

import anyio
from anyio import CancelScope

from altlas_agent.actors.fitting import bare
from altlas_agent.core.clock import NS_PER_S
from altlas_agent.core.errors import EventRefused
from altlas_agent.core.events import (
    AttemptScored,
    CheckpointSaved,
    GroupDropped,
    PolicyUpdated,
    Progress,
    TaskSolved,
)
from altlas_agent.core.records import Attempt, Group, GroupPlan, Judged, Task
from altlas_agent.core.work import WorkBuffer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from anyio.abc import TaskGroup

    from altlas_agent.actors.student import Student
    from altlas_agent.actors.worker import Workers
    from altlas_agent.core.bus.bus import Bus
    from altlas_agent.core.clock import Clock
    from altlas_agent.core.events import Envelope
    from altlas_agent.settings.run import Settings
    from altlas_agent.tasks.curriculum import Curriculum


class Reason(enum.StrEnum):
    """Why a run ended."""

    SOLVED = "every task is solved"
    ATTEMPTS = "the limit of attempts is reached"
    TIME = "the time is up"
    STOPPED = "stopped by hand"

    @property
    def is_by_hand(self) -> bool:
        """True when a person or a signal ended it."""
        return self is Reason.STOPPED


class TrainingLoop:
    """The training loop of one run."""

    def __init__(
        self, *, settings: Settings, curriculum: Curriculum, bus: Bus, clock: Clock, folder: Path
    ) -> None:
        self._settings = settings
        self._curriculum = curriculum
        self._bus = bus
        self._clock = clock
        self._folder = folder
        self._work: WorkBuffer[list[Group]] = WorkBuffer(settings.run.staleness + 1)
        self._started_ns = self._saved_ns = clock.monotonic_ns()
        self._planned = self._groups = 0
        self.attempts = 0
        self.best_score = 0.0
        self.reason: Reason | None = None
        self._scope = CancelScope()

    async def train(self, student: Student, workers: Workers) -> Reason:
        """Run until the suite is solved or a limit is reached; save the student at the end."""
        self._scope.deadline = anyio.current_time() + (self._settings.run.max_time_s or math.inf)
        with self._scope:
            await self._loop(student, workers)
        self.reason = self.reason or Reason.TIME
        await self._save(student)
        return self.reason

    def stop(self) -> None:
        """End the run now, unless it has ended; what was judged and consumed is kept."""
        self.reason = self.reason or Reason.STOPPED
        self._scope.cancel()

    async def _loop(self, student: Student, workers: Workers) -> None:
        async with anyio.create_task_group() as judges:
            while True:
                while self._may_pick():
                    await self._start_batch(student, workers, judges)
                if not self._in_flight():
                    self.reason = Reason.ATTEMPTS
                    break
                slot, groups = await self._work.next_result()
                await self._consume(student, groups)
                self._work.release(slot)
                if self._is_finished():
                    self.reason = Reason.SOLVED
                    break
                await self._save_if_due(student)
            judges.cancel_scope.cancel()

    def _may_pick(self) -> bool:
        limit = self._settings.run.max_attempts
        return self._in_flight() < self._work.capacity and not (limit and self._planned >= limit)

    def _in_flight(self) -> int:
        use = self._work.statistics()
        return use.reserved_ever - use.released_ever

    def _is_finished(self) -> bool:
        return self._settings.run.stop_when_solved and self._curriculum.is_complete

    async def _start_batch(self, student: Student, workers: Workers, judges: TaskGroup) -> None:
        """Plan and generate a batch; its judging goes on by itself and ends in its slot."""
        slot = self._work.reserve_nowait()
        plans = [plan for task in self._curriculum.pick() if (plan := self._plan(task)).size]
        generated = await student.generate(plans)
        judges.start_soon(self._judge, slot, plans, generated.attempts, workers)

    def _plan(self, task: Task) -> GroupPlan:
        limit = self._settings.run.max_attempts
        size = self._settings.tasks.group_size
        if limit:
            size = min(size, max(limit - self._planned, 0))
        explore = task.key not in self._curriculum.solved
        plan = GroupPlan(
            group=self._groups, task=task, size=size, first_number=self._planned + 1, explore=explore
        )
        self._groups += 1
        self._planned += size
        return plan

    async def _judge(
        self, slot: int, plans: Sequence[GroupPlan], attempts: Sequence[Attempt], workers: Workers
    ) -> None:
        tasks = {plan.group: plan.task for plan in plans}
        siblings = {plan.group: self._curriculum.siblings(plan.task) for plan in plans}
        verdicts: dict[int, Judged] = {}

        async def judge(attempt: Attempt) -> None:
            group = attempt.group
            verdicts[attempt.number] = await workers.judge(tasks[group], attempt, siblings[group])

        async with anyio.create_task_group() as tasks_of_batch:
            for attempt in attempts:
                tasks_of_batch.start_soon(judge, attempt)
        groups: dict[int, list[Judged]] = {plan.group: [] for plan in plans}
        for attempt in attempts:
            groups[attempt.group].append(verdicts[attempt.number])
        self._work.put_result(slot, [Group(plan=plan, judged=tuple(groups[plan.group])) for plan in plans])

    async def _consume(self, student: Student, groups: Sequence[Group]) -> None:
        """Announce what came of a batch, in attempt order, then learn from it."""
        for group in groups:
            for judged in group.judged:
                await self._announce(group.plan.task, judged)
        learned = await student.learn(groups)
        with CancelScope(shield=True):  # what was learned is told whole, or a version would have no numbers
            for number, reason in learned.dropped.items():
                await self._bus.publish(GroupDropped(group=number, reason=reason))
            await self._bus.publish(PolicyUpdated(version=learned.version, metrics=learned.metrics))
            await self._bus.publish(self.progress())

    async def _announce(self, task: Task, judged: Judged) -> None:
        self.attempts += 1
        self.best_score = max(self.best_score, judged.score.value)
        with CancelScope(shield=True):  # half of it told would leave a solved task unsolved in the store
            envelope = await self._publish_attempt(judged)
            if judged.score.solved and self._curriculum.mark_solved(task.key):
                solved = TaskSolved(
                    task_key=task.key, attempt_number=judged.attempt.number, code=judged.attempt.code
                )
                await self._bus.publish(solved, cause_seq=envelope.seq)

    async def _publish_attempt(self, judged: Judged) -> Envelope:
        try:
            return await self._bus.publish(AttemptScored(judged=judged))
        except EventRefused:  # too big, or a bug that is refused again
            return await self._bus.publish(AttemptScored(judged=bare(judged)))

    def progress(self) -> Progress:
        """How far the run is."""
        elapsed_s = max((self._clock.monotonic_ns() - self._started_ns) / NS_PER_S, 1e-9)
        return Progress(
            attempts=self.attempts,
            solved=len(self._curriculum.solved),
            best_score=self.best_score,
            attempts_per_s=self.attempts / elapsed_s,
        )

    async def _save_if_due(self, student: Student) -> None:
        since_s = (self._clock.monotonic_ns() - self._saved_ns) / NS_PER_S
        if since_s >= self._settings.run.checkpoint_every_s:
            await self._save(student)

    async def _save(self, student: Student) -> None:
        saved = await student.save(self._folder / "checkpoints")
        self._saved_ns = self._clock.monotonic_ns()
        await self._bus.publish(CheckpointSaved(version=saved.version, path=saved.path, sha256=saved.sha256))
