"""What becomes of a score where attempts are consumed in their order: pure steps over a frozen state.

    worker's score --> schedule --> novelty --> plateau --> normal --> price --> what is learned from

Each step is off unless a setting turns it on. After each of them an unsolved attempt scores at most
`UNSOLVED_CEILING` and a solved one at least that. The score before and after each step is kept among the parts,
so that a stored attempt says what happened to it, and so that what was shaped once can be shaped again from its
beginning, as a run does that goes on.

The schedule is ours (a cosine from form to meaning, by the share of tasks solved and the difficulty of the
task). Plateau and normal move all unsolved scores of a group alike: an algorithm that divides by the spread of a
group sees of them only how far they stand from its solved ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import fmean, pvariance
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from altlas_agent.core.states import ShapingState, TaskShape
from altlas_agent.rewards.combining import (
    FORM_SHARE,
    NOVELTY,
    SHAPED,
    START,
    UNPARSED,
    UNSOLVED_CEILING,
    only,
    scorers_of,
    weight_of,
    weighted_mean,
)
from altlas_agent.rewards.scorers.novelty import novelty, remember

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from altlas_agent.core.records import Group, Judged, Task
    from altlas_agent.settings.rewards import RewardSettings, ShapingSettings

FORM = ("status", "constraints", "length", "syntax", "execution", "structure", "format")
MEANING = ("tests", "output", "description", "reference")
LEAST_GAIN = 0.01
"""A mean that is better by less is no progress."""

_LEAST_SPREAD = 0.01
_EASIEST = 0.25


class _View(NamedTuple):
    """What all attempts of a group have in common."""

    task: Task
    weights: Mapping[str, float]
    settings: ShapingSettings
    memory: TaskShape
    solved_share: float

    @property
    def form_share(self) -> float:
        return form_share(self.task, self.settings, self.solved_share)


class _Look(NamedTuple):
    """All that a step may look at, beside the score that it changes."""

    judged: Judged
    newness: float
    view: _View

    @property
    def parts(self) -> dict[str, float]:
        return self.judged.score.parts


class Shaped(NamedTuple):
    """A group with the scores that are learned from, and what is remembered after it."""

    group: Group
    state: ShapingState


def shape(group: Group, state: ShapingState, settings: RewardSettings, solved_share: float) -> Shaped:
    """Shape the scores of one group; `solved_share` is the share of tasks that were solved before it.

    The same group if nothing is turned on. What the sandbox failed on has no score, and none is given to it.
    """
    if not settings.shapes:
        return Shaped(group, state)
    task, shaping = group.plan.task, settings.shaping
    memory = state.tasks.get(task.key, TaskShape())
    judged = [unshaped(each) for each in group.judged]
    view = _View(task, settings.weights.model_dump(), shaping, memory, solved_share)
    steps = {name: step for name, step in STEPS.items() if step.is_on(settings)}
    made: list[Judged] = []
    seen = dict(memory.seen)
    for each in judged:
        if not _is_scored(each):
            made.append(each)
            continue
        newness = novelty(seen.get(each.fingerprint, 0))
        made.append(_shaped(_Look(each, newness, view), steps))
        if settings.looks_back:
            remember(seen, each.fingerprint, shaping.remembered)
    scores = [each.score.value for each in judged if _is_scored(each)]
    tasks = state.tasks | {task.key: _followed(memory, scores, shaping, seen)}
    return Shaped(msgspec.structs.replace(group, judged=tuple(made)), ShapingState(tasks=tasks))


def _is_scored(judged: Judged) -> bool:
    return judged.outcome.status.is_scored and math.isfinite(judged.score.value)


def unshaped(judged: Judged) -> Judged:
    """An attempt as the worker judged it, whatever became of its score since."""
    parts = judged.score.parts
    if START not in parts:
        return judged
    score = msgspec.structs.replace(judged.score, value=parts[START], parts=scorers_of(parts))
    return msgspec.structs.replace(judged, score=score)


def form_share(task: Task, settings: ShapingSettings, solved_share: float) -> float:
    """w_last + (w_first - w_last) (1 + cos(pi t)) / 2, with t the way to the end of the schedule, 0..1.

    The end lies at `schedule_end` times the root of the difficulty: hard tasks stay with the form longer.
    """
    end = settings.schedule_end * math.sqrt(max(task.difficulty, _EASIEST))
    way = min(solved_share / end, 1.0)
    first, last = settings.form_first, settings.form_last
    return last + 0.5 * (first - last) * (1.0 + math.cos(math.pi * way))


def _shaped(look: _Look, steps: Mapping[str, Step]) -> Judged:
    score = look.judged.score
    parts = dict(score.parts)
    if "novelty" in steps or "price" in steps:
        parts[NOVELTY] = look.newness
    if "schedule" in steps:
        parts[FORM_SHARE] = look.view.form_share
    parts[START] = value = score.value
    for name, step in steps.items():
        value = (
            step.solved(value, look) if score.solved else min(step.unsolved(value, look), UNSOLVED_CEILING)
        )
        parts[SHAPED + name] = value
    return msgspec.structs.replace(
        look.judged, score=msgspec.structs.replace(score, value=value, parts=parts)
    )


def _scheduled(value: float, look: _Look) -> float:
    """Form and meaning, each the mean of its scorers, weighed against each other.

    The meaning of what does not parse is 0. What was taken from the score because another instance refuted it
    stays taken. Where only one of the two has a weight, nothing changes.
    """
    form, meaning = only(look.parts, FORM), only(look.parts, MEANING)
    if not (_weight(form, look.view.weights) and _weight(meaning, look.view.weights)):
        return value
    before = min(weighted_mean(look.parts, look.view.weights), UNSOLVED_CEILING)
    kept = value / before if before else 1.0
    share = look.view.form_share
    gate = 0.0 if UNPARSED in look.judged.outcome.violations else 1.0
    mixed = share * weighted_mean(form, look.view.weights) + (1 - share) * gate * weighted_mean(
        meaning, look.view.weights
    )
    return min(mixed, UNSOLVED_CEILING) * min(kept, 1.0)


def _with_novelty(value: float, look: _Look) -> float:
    """One more scorer beside the others."""
    others, own = _weight(look.parts, look.view.weights), weight_of(NOVELTY, look.view.weights)
    return (others * value + own * look.newness) / (others + own)


def _stretched(value: float, look: _Look) -> float:
    """Distances from the running mean grow by up to `plateau_gain` while the mean stands still."""
    late = look.view.memory.stale - look.view.settings.plateau_groups + 1
    if late <= 0:
        return value
    gain = 1.0 + (look.view.settings.plateau_gain - 1.0) * min(late / look.view.settings.plateau_groups, 1.0)
    return max(look.view.memory.mean + gain * (value - look.view.memory.mean), 0.0)


def _placed(value: float, look: _Look) -> float:
    """0.5 of the ceiling at the running mean of the task; nearer to its ends the more spreads away."""
    if not look.view.memory.groups:
        return value
    spread = math.sqrt(max(look.view.memory.variance, _LEAST_SPREAD**2))
    distance = (value - look.view.memory.mean) / spread
    return UNSOLVED_CEILING / (1.0 + math.exp(-distance))


def _paid(value: float, look: _Look) -> float:
    return value * (1.0 - look.view.settings.duplicate_price * (1.0 - look.newness))


def _paid_by_solution(value: float, look: _Look) -> float:
    """Among solutions the new ones count more, and none falls to where the unsolved are."""
    return value - (value - UNSOLVED_CEILING) * look.view.settings.duplicate_price * (1.0 - look.newness)


def _stays(value: float, look: _Look) -> float:
    return value


@dataclass(frozen=True, slots=True)
class Step:
    """One change of a score: when it is made, and what becomes of an unsolved and of a solved attempt."""

    is_on: Callable[[RewardSettings], bool]
    unsolved: Callable[[float, _Look], float]
    solved: Callable[[float, _Look], float] = _stays


STEPS: dict[str, Step] = {
    "schedule": Step(lambda settings: settings.shaping.schedule, _scheduled),
    "novelty": Step(lambda settings: settings.weights.novelty > 0.0, _with_novelty),
    "plateau": Step(lambda settings: settings.shaping.plateau_gain > 1.0, _stretched),
    "normal": Step(lambda settings: settings.shaping.normalize, _placed),
    "price": Step(lambda settings: settings.shaping.duplicate_price > 0.0, _paid, _paid_by_solution),
}


def _weight(parts: Mapping[str, float], weights: Mapping[str, float]) -> float:
    return sum(weight_of(name, weights) for name in parts)


def _followed(
    memory: TaskShape, scores: Sequence[float], settings: ShapingSettings, seen: dict[str, int]
) -> TaskShape:
    """What is known after one more group; its mean and spread count as the latest of a fading mixture."""
    if not scores:
        return msgspec.structs.replace(memory, seen=seen)
    mean, variance = fmean(scores), pvariance(scores)
    if not memory.groups:
        return TaskShape(groups=1, mean=mean, variance=variance, best=mean, seen=seen)
    old, new = settings.decay, 1.0 - settings.decay
    is_better = mean > memory.best + LEAST_GAIN
    return TaskShape(
        groups=memory.groups + 1,
        mean=old * memory.mean + new * mean,
        variance=old * memory.variance + new * variance + old * new * (mean - memory.mean) ** 2,
        best=mean if is_better else memory.best,
        stale=0 if is_better else memory.stale + 1,
        seen=seen,
    )
