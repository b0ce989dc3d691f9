"""DAPO, 2025 (arXiv 2503.14476): group-relative advantages with four changes.

Clip-higher and the mean over all tokens are switches of its loss. Dynamic sampling drops groups whose scores
are all equal, with the reason; the next step tries other tasks, nothing is generated until a batch is full.
Overlong shaping takes a price from the score of a program near its task's limit of tokens, after the groups
were chosen by the plain scores. Programs that were cut off are not masked: the grammar ends every one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.learning.algorithms.advantages import group_relative
from altlas_agent.learning.algorithms.base import Algorithm, Annotated
from altlas_agent.learning.algorithms.compared import Compared, annotated, compared, uneven
from altlas_agent.learning.loss.surrogate import Surrogate
from altlas_agent.settings.learners.algorithms import Dapo as DapoSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.core.records import Group


class Dapo(Algorithm[DapoSettings]):
    """Compares the on-policy attempts of a group, their length taken into account."""

    @property
    def surrogate(self) -> Surrogate:
        low, high = self._settings.clip_low, self._settings.clip_high
        return Surrogate(aggregation="dapo", clip_low=low, clip_high=high)

    def annotate(self, groups: Sequence[Group]) -> list[Annotated]:
        settings = self._settings
        found = [compared(group, outcome_gate=settings.outcome_gate) for group in groups]
        if settings.dynamic_sampling:
            found = [uneven(each) for each in found]
        shaped = [self._shaped(*each) for each in zip(groups, found, strict=True)]
        made = group_relative(shaped, "group", settings.epsilon)
        return [annotated(*each, self._discount) for each in zip(groups, found, made, strict=True)]

    def _shaped(self, group: Group, found: Compared) -> list[float]:
        longest = group.plan.task.constraints.max_tokens
        slope = self._settings.overlong_share * longest
        return [
            judged.score.value
            + self._settings.overlong_price * overlong(len(judged.attempt.tokens), longest, slope)
            for judged in found.judged
        ]


def overlong(length: int, longest: int, slope: float) -> float:
    """0 up to `longest - slope` tokens, then falling to -1 at `longest` and beyond."""
    return max(-1.0, min(0.0, (longest - slope - length) / slope))
