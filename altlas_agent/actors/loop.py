"""Picks tasks, carries each batch round the loop, and ends the run.

   tasks -- pick --> student.generate --> workers.judge --> student.learn --> slot freed

    loop     waits for                      unblocked by
    -------  -----------------------------  ------------------------------------------------------
    train    the student's answer           the student, its death, or its deadline
    train    the next batch, in order       the judges of that batch; `Controls.stop`; the time
    train    the end of a pause             `Controls.resume` or `Controls.stop`
    train    a checkpoint                   the student, the recorder; room on the disk: see `saving`
    _judge   a verdict of each attempt      the workers, their death, or their deadline

`staleness` batches may be judged while the student learns from an older one. The calls to the student
come in an order that depends on the number of the batch only: generate 0 .. generate s, then learn i,
generate i + s + 1. Results are consumed in that order too, so a seed gives the same run whatever the
timing. Pauses, steering, checkpoints and the end by hand or by time come between two steps.
"""

from __future__ import annotations

import enum
import math
from typing import TYPE_CHECKING

import anyio
import msgspec
from anyio import CancelScope

from altlas_agent.actors.saving import Checkpoints
from altlas_agent.core.clock import NS_PER_S
from altlas_agent.core.errors import PolicyError
from altlas_agent.core.events import Progress, RunContinued, RunPaused
from altlas_agent.core.records import Attempt, Group, GroupPlan, Judged, Task
from altlas_agent.core.spent import Spent
from altlas_agent.core.states import FeedbackMemory, LoopState, Pending, ShapingState
from altlas_agent.core.work import WorkBuffer
from altlas_agent.rewards.past.guidance import guided
from altlas_agent.rewards.past.memory import remembered
from altlas_agent.rewards.past.texts import beside
from altlas_agent.rewards.shaping import shape
from altlas_agent.settings.live import steered
from altlas_agent.settings.run import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from anyio.abc import TaskGroup

    from altlas_agent.actors.controls import Controls
    from altlas_agent.actors.facts import Facts
    from altlas_agent.actors.student import Student
    from altlas_agent.actors.worker import Share
    from altlas_agent.core.bus.bus import Bus
    from altlas_agent.core.clock import Clock
    from altlas_agent.core.requests import ResetWeights
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
    """The training loop of one run, in one of its lives."""

    def __init__(
        self,
        *,
        settings: Settings,
        curriculum: Curriculum,
        bus: Bus,
        facts: Facts,
        controls: Controls,
        clock: Clock,
        folder: Path,
        memory: FeedbackMemory | None = None,
    ) -> None:
        """`memory` is what a new run begins with."""
        self._settings = settings
        self._memory = memory or FeedbackMemory()
        self._curriculum = curriculum
        self._bus = bus
        self._facts = facts
        self._controls = controls
        self._clock = clock
        self._checkpoints = Checkpoints(
            bus=bus, controls=controls, clock=clock, folder=folder / "checkpoints"
        )
        self._work: WorkBuffer[list[Group]] = WorkBuffer(settings.run.staleness + 1)
        self._pending: dict[int, Pending] = {}
        self._batches = self._planned = self._groups = 0
        self._shaping = ShapingState()
        self.elapsed_s = 0.0
        self._moved_ns = clock.monotonic_ns()
        self._spent = Spent(clock)
        self.attempts = 0
        self.best_score = 0.0

    def restore(self, state: LoopState) -> None:
        """Go on from there; before `train`. Raises RunRefusedError when the suite has changed."""
        self._settings = Settings.model_validate_json(state.settings)
        self._curriculum.restore(state.curriculum)
        self._batches, self._groups, self._planned = state.batches, state.groups, state.planned
        self.attempts, self.best_score = state.attempts, state.best_score
        self.elapsed_s = state.elapsed_s
        self._shaping, self._memory = state.shaping, state.feedback
        self._checkpoints.restored(self._mark)
        self._pending = {self._work.reserve_nowait(): pending for pending in state.pending}

    @property
    def solved(self) -> int:
        """How many tasks are solved."""
        return len(self._curriculum.solved)

    @property
    def settings(self) -> Settings:
        """Those in force, steering included."""
        return self._settings

    @property
    def _mark(self) -> tuple[int, Settings]:
        return self._batches, self._settings

    async def train(self, student: Student, workers: Share) -> Reason:
        """Run until the suite is solved, a limit is reached or somebody stops it; save the student then."""
        self._controls.tell_begun()
        reason: Reason | None = None
        try:
            async with anyio.create_task_group() as judges:
                for slot, pending in self._pending.items():
                    judges.start_soon(self._judge, slot, pending, workers)
                while reason is None:
                    await self._between_steps(student)
                    reason = await self._step(student, workers, judges)
                judges.cancel_scope.cancel()
            if not self._facts.is_replaying:
                await self._checkpoints.at_last(student, self._mark, self._state)
        finally:
            self._controls.tell_ended()
        assert reason is not None, "the loop ends with a reason"
        return reason

    async def _between_steps(self, student: Student) -> None:
        """Do what was asked for: steering, checkpoints, pauses."""
        for changes in self._facts.steers(self._batches):
            await self._steer(student, changes)
        for request in self._facts.resets(self._batches):
            await student.reset(request)
        if self._facts.is_replaying:
            return  # what is asked now comes behind what was asked then
        for changes in self._controls.take_steers():
            await self._facts.steered(self._batches, changes)
            await self._steer(student, changes)
        for request in self._controls.take_resets():
            await self._reset(student, request)
        if self._checkpoints.is_due(self._settings.run.checkpoint_every_s):
            await self._checkpoints.save(student, self._mark, self._state)
        if self._controls.is_paused:
            await self._rest(student)

    async def _rest(self, student: Student) -> None:
        self._moved()
        await self._bus.publish(RunPaused(attempts=self.attempts))
        while self._controls.is_paused and not self._controls.is_stopping:
            await self._controls.passable()
            if self._controls.wants_checkpoint:
                await self._checkpoints.save(student, self._mark, self._state)
        self._moved_ns = self._clock.monotonic_ns()  # a pause takes nothing of the time of a run
        await self._bus.publish(RunContinued(attempts=self.attempts))

    async def _steer(self, student: Student, changes: Mapping[str, object]) -> None:
        self._settings = steered(self._settings, changes)
        await student.steer(self._settings.model_dump_json())

    async def _reset(self, student: Student, request: ResetWeights) -> None:
        """What cannot be done is told, and the run goes on as it was."""
        try:
            done = await student.reset(request)
        except PolicyError as error:
            await self._facts.noted(f"nothing was reset: {error.message}")
        else:
            await self._facts.reset(self._batches, request, done.numbers)

    async def _step(self, student: Student, workers: Share, judges: TaskGroup) -> Reason | None:
        """Fill the slots, learn from the next batch; says why the run is over when it is."""
        if self._controls.is_stopping:
            return Reason.STOPPED
        if self._is_finished():
            return Reason.SOLVED
        while self._may_pick():
            await self._start_batch(student, workers, judges)
        if not self._pending:
            return Reason.ATTEMPTS
        taken = await self._next()
        if taken is None:
            return Reason.STOPPED if self._controls.is_stopping else Reason.TIME
        slot, groups = taken
        await self._consume(student, groups)
        self._work.release(slot)
        del self._pending[slot]
        self._batches += 1
        self._moved()
        await self._bus.publish(self.progress())
        return Reason.SOLVED if self._is_finished() else None

    async def _next(self) -> tuple[int, list[Group]] | None:
        """The next batch in order; None when the run is to end first."""
        limit_s = self._settings.run.max_time_s
        left_s = limit_s - self.elapsed_s if limit_s else math.inf
        with CancelScope(deadline=anyio.current_time() + max(left_s, 0.0)) as scope:
            self._controls.on_stop(scope.cancel)
            with self._spent.on("judging_s"):
                return await self._work.next_result()
        return None

    def _may_pick(self) -> bool:
        limit = self._settings.run.max_attempts
        return len(self._pending) < self._work.capacity and not (limit and self._planned >= limit)

    def _is_finished(self) -> bool:
        return self._settings.run.stop_when_solved and self._curriculum.is_complete

    async def _start_batch(self, student: Student, workers: Share, judges: TaskGroup) -> None:
        """Plan and generate a batch; its judging goes on by itself and ends in its slot."""
        slot = self._work.reserve_nowait()
        plans = tuple(plan for task in self._curriculum.pick() if (plan := self._plan(task)).size)
        with self._spent.on("generating_s"):
            generated = await student.generate(plans)
        for cut in generated.cuts:
            await self._facts.noted(cut)
        self._pending[slot] = pending = Pending(plans=plans, attempts=generated.attempts)
        judges.start_soon(self._judge, slot, pending, workers)

    def _plan(self, task: Task) -> GroupPlan:
        limit = self._settings.run.max_attempts
        size = self._settings.tasks.group_size
        if limit:
            size = min(size, max(limit - self._planned, 0))
        explore = task.key not in self._curriculum.solved
        past = self._memory.tasks.get(task.key) if explore else None
        plan = GroupPlan(
            group=self._groups,
            task=task,
            size=size,
            first_number=self._planned + 1,
            explore=explore,
            examples=self._curriculum.siblings(task) if explore else (),
            beside=beside(task, past, self._settings.learning.feedback),
            guidance=guided(past, self._settings.learning.feedback.guide),
        )
        self._groups += 1
        self._planned += size
        return plan

    async def _judge(self, slot: int, pending: Pending, workers: Share) -> None:
        tasks = {plan.group: plan.task for plan in pending.plans}
        siblings = {plan.group: self._curriculum.siblings(plan.task) for plan in pending.plans}
        verdicts: dict[int, Judged] = {}

        async def judge(attempt: Attempt) -> None:
            group = attempt.group
            verdicts[attempt.number] = await workers.judge(tasks[group], attempt, siblings[group])

        async with anyio.create_task_group() as tasks_of_batch:
            for attempt in pending.attempts:
                recorded = self._facts.recorded(attempt)
                if recorded is None:
                    tasks_of_batch.start_soon(judge, attempt)
                else:
                    verdicts[attempt.number] = recorded
        groups: dict[int, list[Judged]] = {plan.group: [] for plan in pending.plans}
        for attempt in pending.attempts:
            groups[attempt.group].append(verdicts[attempt.number])
        result = [Group(plan=plan, judged=tuple(groups[plan.group])) for plan in pending.plans]
        self._work.put_result(slot, result)

    async def _consume(self, student: Student, groups: Sequence[Group]) -> None:
        """Announce what came of a batch, in attempt order, then learn from it."""
        shaped: list[Group] = []
        with self._spent.on("announcing_s"):
            for group in map(
                self._shaped, groups
            ):  # one after the other: the next may depend on what this solved
                shaped.append(group)
                for judged in group.judged:
                    await self._announce(group.plan.task, judged)
        with self._spent.on("learning_s"):
            learned = await student.learn(shaped)
        metrics = learned.metrics | self._spent.take()
        await self._facts.learned(msgspec.structs.replace(learned, metrics=metrics))

    def _shaped(self, group: Group) -> Group:
        self._memory = remembered(self._memory, group, self._settings.learning.feedback)
        solved_share = self.solved / self._curriculum.size
        made = shape(group, self._shaping, self._settings.rewards, solved_share)
        self._shaping = made.state
        return made.group

    async def _announce(self, task: Task, judged: Judged) -> None:
        self.attempts += 1
        self.best_score = max(self.best_score, judged.score.value)
        with CancelScope(shield=True):  # half of it told would leave a solved task unsolved in the store
            seq = await self._facts.attempt(judged)
            if judged.score.solved and self._curriculum.mark_solved(task.key):
                await self._facts.solved(task.key, judged, seq)

    def progress(self) -> Progress:
        """How far the run is."""
        return Progress(
            attempts=self.attempts,
            solved=self.solved,
            best_score=self.best_score,
            attempts_per_s=self.attempts / max(self.elapsed_s, 1e-9),
        )

    def _moved(self) -> None:
        now_ns = self._clock.monotonic_ns()
        self.elapsed_s += (now_ns - self._moved_ns) / NS_PER_S
        self._moved_ns = now_ns

    def _state(self) -> LoopState:
        self._moved()
        return LoopState(
            batches=self._batches,
            groups=self._groups,
            planned=self._planned,
            attempts=self.attempts,
            best_score=self.best_score,
            elapsed_s=self.elapsed_s,
            settings=self._settings.model_dump_json(),
            curriculum=self._curriculum.state(),
            pending=tuple(self._pending.values()),
            shaping=self._shaping,
            feedback=self._memory,
        )
