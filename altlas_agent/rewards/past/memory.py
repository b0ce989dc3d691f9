"""The feedback memory: a pure step over a frozen state for each group, in the order in which groups are learned from.

    judged group --> what failed, how often, of what --> the next plan of the task

A program is known by its fingerprint, so renaming and layout make no new one. A solution is no failure and is
not remembered here: replay has those. Proposing a failed program again is counted and nothing else; its price
is `rewards.shaping.duplicate_price`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.records import Fault
from altlas_agent.core.states import Failure, FeedbackMemory, NearMiss, TaskFeedback
from altlas_agent.rewards.past.texts import hidden_words, told
from altlas_agent.rewards.shaping import unshaped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.core.records import Group, Judged
    from altlas_agent.settings.learners.feedback import FeedbackSettings

FADES = 0.8
"""What is left of recent faults and of blame after each further group."""

LEAST_BLAME = 0.01
"""Blame that has faded below this is forgotten."""


def remembered(memory: FeedbackMemory, group: Group, settings: FeedbackSettings) -> FeedbackMemory:
    """What is known after one more group; the same memory while it is off."""
    if not settings.remember:
        return memory
    key = group.plan.task.key
    after = _after(memory.tasks.get(key, TaskFeedback()), group, settings.programs)
    return FeedbackMemory(tasks=memory.tasks | {key: after})


def _after(before: TaskFeedback, group: Group, programs: int) -> TaskFeedback:
    scored = [unshaped(judged) for judged in group.judged if judged.outcome.status.is_scored]
    failures = [judged for judged in scored if not judged.score.solved]
    task = group.plan.task
    secrets = hidden_words(task)
    failed, repeated = dict(before.failed), 0
    error = before.error
    for judged in failures:
        error = told(judged, secrets)
        known = failed.pop(judged.fingerprint, None)
        repeated += known is not None
        times = known.times + 1 if known else 1
        failed[judged.fingerprint] = Failure(times=times, fault=fault_of(judged), message=error)
    while len(failed) > programs:
        del failed[next(iter(failed))]
    return TaskFeedback(
        groups=before.groups + 1,
        faults=_counted(before.faults, failures),
        recent=_faded(before.recent, failures),
        failed=failed,
        repeated=repeated / len(failures) if failures else 0.0,
        error=error,
        best=_best(before.best, failures),
        blamed=_blamed(before.blamed, failures),
    )


def fault_of(judged: Judged) -> Fault:
    """What was wrong with a failed attempt, as far as it is known."""
    return judged.feedback.fault if judged.feedback is not None else Fault.OTHER


def _counted(before: dict[str, int], failures: Sequence[Judged]) -> dict[str, int]:
    counts = dict(before)
    for judged in failures:
        name = fault_of(judged).value
        counts[name] = counts.get(name, 0) + 1
    return counts


def _faded(before: dict[str, float], failures: Sequence[Judged]) -> dict[str, float]:
    counts = {name: FADES * count for name, count in before.items()}
    for judged in failures:
        name = fault_of(judged).value
        counts[name] = counts.get(name, 0.0) + 1.0
    return counts


def _best(before: NearMiss | None, failures: Sequence[Judged]) -> NearMiss | None:
    """The best score; of equal ones the shortest program, and of these the first."""
    best = before
    for judged in failures:
        tokens, score = judged.attempt.tokens, judged.score.value
        if tokens and (best is None or (score, -len(tokens)) > (best.score, -len(best.tokens))):
            best = NearMiss(tokens=tokens, score=score)
    return best


def _blamed(before: dict[int, float], failures: Sequence[Judged]) -> dict[int, float]:
    """The share of the failures of a group that each token is to blame for, added to what has faded."""
    found = {token: FADES * blame for token, blame in before.items()}
    for judged in failures:
        feedback, tokens = judged.feedback, judged.attempt.tokens
        if feedback is None or len(feedback.blame) != len(tokens):
            continue
        worst: dict[int, float] = {}
        for token, blame in zip(tokens, feedback.blame, strict=True):
            worst[token] = max(worst.get(token, 0.0), feedback.severity * blame)
        for token, blame in worst.items():
            found[token] = found.get(token, 0.0) + blame / len(failures)
    return {token: blame for token, blame in sorted(found.items()) if blame >= LEAST_BLAME}


def without_texts(memory: FeedbackMemory) -> FeedbackMemory:
    """The same without what was said of the failures: a run begins without a last error."""
    tasks = {key: msgspec.structs.replace(each, error="") for key, each in memory.tasks.items()}
    return FeedbackMemory(tasks=tasks)
