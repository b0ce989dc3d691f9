"""REINFORCE with a running mean, and REINFORCE++.

REINFORCE (Williams 1992): A = r - b with b a running mean of the scores of the task, as it was before the
group; of a task seen for the first time b is the mean of the group. The loss is -A log p, without a ratio.

REINFORCE++ 2025 (arXiv 2501.03262): the score of the last token is carried back, discounted, and the returns are
brought to mean 0 and variance 1 over all tokens of the step, so that a group of one teaches too. In the variant
with a baseline the mean of its group is taken from each score first. The ratio is clipped as in PPO.
"""

from __future__ import annotations

from itertools import islice
from statistics import fmean
from typing import TYPE_CHECKING

from altlas_agent.core.states import AlgorithmState
from altlas_agent.learning.algorithms.advantages import centred, whitened
from altlas_agent.learning.algorithms.base import Algorithm, Annotated
from altlas_agent.learning.algorithms.compared import (
    EQUAL,
    Compared,
    annotated,
    compared,
    spread,
    uneven,
    with_rows,
)
from altlas_agent.learning.loss.surrogate import Surrogate
from altlas_agent.settings.learners.algorithms import Reinforce as ReinforceSettings
from altlas_agent.settings.learners.algorithms import ReinforcePlus as ReinforcePlusSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.core.records import Group


class Reinforce(Algorithm[ReinforceSettings]):
    """Compares each attempt with the past of its task."""

    @property
    def surrogate(self) -> Surrogate:
        return Surrogate(kind="plain")

    def annotate(self, groups: Sequence[Group]) -> list[Annotated]:
        return [self._annotated(group) for group in groups]

    def _annotated(self, group: Group) -> Annotated:
        found = compared(group, outcome_gate=False, least=1)
        if found.dropped:
            return Annotated(dropped=found.dropped)
        baseline = self._moved(group.plan.task.key, fmean(found.scores))
        gated = compared(group, outcome_gate=self._settings.outcome_gate, least=1)
        advantages = [judged.score.value - baseline for judged in gated.judged]
        return annotated(group, gated, advantages, self._discount)

    def _moved(self, key: str, mean: float) -> float:
        """The baseline as it was; then it follows."""
        before = self.state.baselines.get(key, mean)
        after = self._settings.decay * before + (1.0 - self._settings.decay) * mean
        self.state = AlgorithmState(baselines=self.state.baselines | {key: after})
        return before


class ReinforcePlus(Algorithm[ReinforcePlusSettings]):
    """Compares each attempt with the whole step."""

    @property
    def surrogate(self) -> Surrogate:
        low, high = self._settings.clip_low, self._settings.clip_high
        return Surrogate(aggregation="dapo", clip_low=low, clip_high=high)

    def annotate(self, groups: Sequence[Group]) -> list[Annotated]:
        found = [self._compared(group) for group in groups]
        returns = [row for each in found for row in self._returns(each)]
        flat = len({token for row in returns for token in row}) < 2
        rows = iter(whitened(returns))
        made: list[Annotated] = []
        for group, each in zip(groups, found, strict=True):
            numbers = [judged.attempt.number for judged in each.judged]
            own = dict(zip(numbers, map(tuple, islice(rows, len(numbers))), strict=True))
            dropped = each.dropped or (EQUAL if flat else "")
            made.append(Annotated(dropped=dropped) if dropped else with_rows(group, own))
        return made

    def _compared(self, group: Group) -> Compared:
        gate = self._settings.outcome_gate
        if self._settings.group_baseline:
            return uneven(compared(group, outcome_gate=gate))
        return compared(group, outcome_gate=gate, least=1)

    def _returns(self, found: Compared) -> list[tuple[float, ...]]:
        scores = centred(found.scores) if self._settings.group_baseline else found.scores
        return [
            spread(score, len(judged.attempt.tokens), self._discount)
            for judged, score in zip(found.judged, scores, strict=True)
        ]
