"""Is a task worth trying? Runs its reference, its cheats, its tokens, and programs that break the limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from altlas_agent.core.errors import ScoringError, TaskError
from altlas_agent.tasks.proofs.probes import GRACE_S, unenforced_limits
from altlas_agent.tasks.proofs.static import copied_cheats, rendered, static_failures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from altlas_agent.core.records import Outcome, Score, Task
    from altlas_agent.tasks.loader import Entry
    from altlas_agent.tasks.proofs.probes import Run

    Judge = Callable[[Task, str], tuple[Outcome, Score]]

NUM_STATIC = 10
"""Instances of each split that are looked at without running them."""

NUM_RUN = 2
"""Instances of each split on which programs are run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was shown about one task or family. It is proved when nothing failed."""

    key: str
    instances: int
    failures: tuple[str, ...]

    @property
    def is_proved(self) -> bool:
        return not self.failures


def prove(entry: Entry, judge: Judge, run: Run, *, num_run: int = NUM_RUN, grace_s: float = GRACE_S) -> Proof:
    """Prove that the reference scores full marks, that no cheat succeeds, and that the limits hold.

    A family is proved on several instances of both splits. A cheat without parameters may fit one of
    them by chance, as a constant does; it succeeds when it fits a second. Everything that needs no
    sandbox is checked first, and when that fails nothing is run.
    """
    try:
        looked_at = instances(entry, NUM_STATIC)
    except TaskError as error:
        return Proof(key=entry.key, instances=0, failures=(error.message,))
    failures = _first(_labelled(task, static_failures(task)) for task in looked_at)
    failures = failures or tuple(copied_cheats(looked_at))
    if failures:
        return Proof(key=entry.key, instances=len(looked_at), failures=failures)
    chosen = instances(entry, num_run)
    return Proof(
        key=entry.key,
        instances=len(chosen),
        failures=(
            *_first(_labelled(task, _solution_failures(task, judge)) for task in chosen),
            *_cheat_failures(chosen, judge),
            *unenforced_limits(chosen[0], run, grace_s=grace_s),
        ),
    )


def instances(entry: Entry, per_split: int) -> list[Task]:
    """The task itself, or the first instances of each split of a family, without repetitions."""
    if not entry.is_family:
        return [entry.instance()]
    drawn = [entry.instance(split, index) for split in ("train", "unseen") for index in range(per_split)]
    return list({(task.description, task.cases, task.reference): task for task in drawn}.values())


def _first(failures: Iterator[tuple[str, ...]]) -> tuple[str, ...]:
    """Those of the first instance that has any: the others mostly repeat them."""
    return next((found for found in failures if found), ())


def _labelled(task: Task, failures: Iterator[str]) -> tuple[str, ...]:
    label = f"{task.id.rpartition('#')[2]}: " if task.instance >= 0 else ""
    return tuple(label + failure for failure in failures)


def _solution_failures(task: Task, judge: Judge) -> Iterator[str]:
    solutions = {"the reference": task.reference}
    if task.tokens:
        solutions["what the tokens render to"] = rendered(task)
    for name, code in solutions.items():
        try:
            outcome, score = _judged(task, code, judge)
        except ScoringError as error:
            yield error.message
            continue
        if not (score.solved and abs(score.value - 1.0) <= 1e-9):
            yield f"{name} scores {score.value:.3f}, not full marks: {_why(outcome)}"


def _cheat_failures(tasks: list[Task], judge: Judge) -> Iterator[str]:
    for number in range(len(tasks[0].cheats)):
        texts = {task.cheats[number] for task in tasks}
        chances = 1 if len(texts) == 1 and len(tasks) > 1 else 0
        try:
            solved = [task.id for task in tasks if _judged(task, task.cheats[number], judge)[1].solved]
        except ScoringError as error:
            yield f"cheat {number + 1}: {error.message}"
            return
        if len(solved) > chances:
            yield f"cheat {number + 1} succeeds on {', '.join(solved)}"


def _judged(task: Task, code: str, judge: Judge) -> tuple[Outcome, Score]:
    """A fault of the sandbox says nothing about a program: it is tried once more."""
    outcome, score = judge(task, code)
    if not outcome.status.is_scored:
        outcome, score = judge(task, code)
    if not outcome.status.is_scored:
        raise ScoringError(f"the sandbox failed twice, nothing is proved: {outcome.stderr.strip()[-200:]}")
    return outcome, score


def _why(outcome: Outcome) -> str:
    reasons = [*outcome.violations]
    failed = [number for number, case in enumerate(outcome.cases) if not case.passed]
    if failed:
        first = outcome.cases[failed[0]]
        answer = f"answered {first.got[:80]}" if first.got else "gave no answer"
        reasons.append(f"{len(failed)} of {len(outcome.cases)} tests failed; on test {failed[0]} it {answer}")
    if outcome.status != "success":
        reasons.append(f"it ended with {outcome.status}: {outcome.stderr.strip()[-200:]}")
    return "; ".join(reasons) or "no reason given"
