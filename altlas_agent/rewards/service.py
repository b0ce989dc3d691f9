"""Child-side main of a worker process: runs attempts in its sandbox slots, scores them, answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

import msgspec

from altlas_agent.core.children.serve import serve
from altlas_agent.core.errors import SandboxError
from altlas_agent.core.records import Attempt, Judged, Limits, Outcome, Score, Task
from altlas_agent.core.requests import (
    Execute,
    Executed,
    Judge,
    JudgedReply,
    RungChange,
    SetUpWorker,
    WorkerReady,
)
from altlas_agent.languages.fingerprint import fingerprint
from altlas_agent.languages.render import render
from altlas_agent.rewards.combining import UNSOLVED_CEILING
from altlas_agent.rewards.feedback import feedback_of
from altlas_agent.rewards.verdict import Judge as Verdicts
from altlas_agent.sandbox.slots import Options, Slots, canary
from altlas_agent.sandbox.walls.leftovers import end_leftovers
from altlas_agent.settings.run import Settings

if TYPE_CHECKING:
    from types import TracebackType

    from altlas_agent.settings.sandbox import SandboxSettings


EASIER = "solves the task only as it was made easier, which does not count"


class Service:
    """Holds the slots of this process from set-up to the end of its block.

    A change of rung is told with the next answer, whatever was asked.
    """

    def __init__(self) -> None:
        self._slots: Slots | None = None
        self._verdicts: Verdicts | None = None
        self._traces = True
        self._changes: list[RungChange] = []

    def set_up(self, request: SetUpWorker) -> WorkerReady:
        settings = Settings.model_validate_json(request.settings)
        self.close()
        end_leftovers()
        options = options_of(settings.sandbox)
        self._slots = slots = Slots(options, self._changes.append, last=request.last, best=request.best)
        rungs = {language: slots.start(language) for language in request.languages}
        shown = [slots.run(canary(name, options), Limits()) for name in request.languages]
        self._traces = settings.sandbox.trace_failures
        self._verdicts = Verdicts(slots.run, settings.rewards.weights.model_dump())
        layers = dict.fromkeys(layer for result in shown for layer in result.layers)
        return WorkerReady(rungs=rungs, layers=tuple(layers), rung_changes=self._untold())

    def judge(self, request: Judge) -> JudgedReply:
        if self._verdicts is None or self._slots is None:
            raise SandboxError("the worker was asked before it was set up")
        outcome, score = self._verdicts.judge(request.task, request.attempt.code)
        if score.solved and request.task.is_simplified:
            outcome, score = uncounted(outcome, score)
        elif score.solved and request.siblings:
            outcome, score = verified(self._verdicts, request.attempt, request.siblings, (outcome, score))
        identity = fingerprint(request.task.target_language, request.attempt.code)
        run = self._slots.run if self._traces else None
        judged = Judged(
            attempt=request.attempt,
            outcome=outcome,
            score=score,
            fingerprint=identity,
            feedback=feedback_of(request.task, request.attempt, outcome, run),
        )
        return JudgedReply(judged=judged, rung_changes=self._untold())

    def execute(self, request: Execute) -> Executed:
        if self._slots is None:
            raise SandboxError("the worker was asked before it was set up")
        result = self._slots.run(request.program, request.limits)
        return Executed(result=result, rung_changes=self._untold())

    def close(self) -> None:
        """End every jail, and leave none of their processes to whoever reaps ours; then only a set-up may follow."""
        if self._slots is not None:
            self._slots.close()
        self._slots = self._verdicts = None

    def _untold(self) -> tuple[RungChange, ...]:
        changes = tuple(self._changes)
        self._changes.clear()
        return changes

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def options_of(settings: SandboxSettings) -> Options:
    """The settings as the sandbox takes them."""
    return Options(
        python=settings.python,
        node=settings.node,
        allow_unsafe=settings.allow_unsafe,
        allow_reduced=settings.allow_reduced,
        uid=settings.uid,
        result_cache=settings.result_cache,
        prewarmed=settings.prewarmed_nodes,
        refuse_severity=settings.refuse_severity,
        languages=settings.languages,
        javascript=settings.javascript,
        cross_check=settings.cross_check,
        ceilings=Limits(
            cpu_s=settings.cpu_s_ceiling,
            wall_s=settings.wall_s_ceiling,
            memory_mb=settings.memory_mb_ceiling,
            output_kb=settings.output_kb_ceiling,
            processes=settings.processes_ceiling,
            tmp_mb=settings.tmp_mb_ceiling,
            files=settings.files_ceiling,
        ),
    )


def uncounted(outcome: Outcome, score: Score) -> tuple[Outcome, Score]:
    """A success at a task that was made easier: as good as a failure can be, and no success."""
    return (
        msgspec.structs.replace(outcome, violations=(*outcome.violations, EASIER)),
        msgspec.structs.replace(score, solved=False, value=UNSOLVED_CEILING),
    )


def verified(
    verdicts: Verdicts, attempt: Attempt, siblings: tuple[Task, ...], verdict: tuple[Outcome, Score]
) -> tuple[Outcome, Score]:
    """Hold a success against further instances of its family: a constant that fits one instance is none.

    When the sandbox fails on a sibling nothing was shown: the outcome is `internal` then.
    """
    outcome, score = verdict
    held = 0
    for sibling in siblings:
        shown, again = verdicts.judge(sibling, render(sibling, attempt.tokens))
        if not shown.status.is_scored:
            return shown, again
        if not again.solved:
            break
        held += 1
    if held == len(siblings):
        return outcome, score
    refusal = f"does not solve the instance {siblings[held].id}"
    share = (1 + held) / (1 + len(siblings))
    return (
        msgspec.structs.replace(outcome, violations=(*outcome.violations, refusal)),
        msgspec.structs.replace(score, solved=False, value=UNSOLVED_CEILING * share),
    )


def main() -> None:
    with Service() as service:
        serve({SetUpWorker: service.set_up, Judge: service.judge, Execute: service.execute})


if __name__ == "__main__":
    main()
