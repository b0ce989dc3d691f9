"""REINFORCE leave-one-out: Back to Basics 2024 (arXiv 2402.14740).

A_i = r_i - mean of the other scores of the group. The ratio is that of whole programs, a sum over their tokens,
clipped as in PPO. Deviation: a distance from a reference policy is a term of the loss (learning.reference), it
is not taken from the score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.learning.algorithms.advantages import leave_one_out, normalized
from altlas_agent.learning.algorithms.base import Algorithm, Annotated
from altlas_agent.learning.algorithms.compared import annotated, compared, uneven
from altlas_agent.learning.loss.surrogate import Surrogate
from altlas_agent.settings.learners.algorithms import Rloo as RlooSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.core.records import Group

_EPSILON = 1e-4


class Rloo(Algorithm[RlooSettings]):
    """Compares each on-policy attempt with the others of its group."""

    @property
    def surrogate(self) -> Surrogate:
        low, high = self._settings.clip_low, self._settings.clip_high
        return Surrogate(level="sum", aggregation="grpo", clip_low=low, clip_high=high)

    def annotate(self, groups: Sequence[Group]) -> list[Annotated]:
        gate = self._settings.outcome_gate
        found = [uneven(compared(group, outcome_gate=gate)) for group in groups]
        made = leave_one_out([each.scores for each in found])
        if self._settings.normalize:
            made = normalized(made, _EPSILON)
        return [annotated(*each, self._discount) for each in zip(groups, found, made, strict=True)]
