"""Group-relative advantages.

GRPO, DeepSeekMath 2024 (arXiv 2402.03300): A_i = (r_i - mean) / (std + eps) within the group, with the
n - 1 standard deviation. Deviations:
- only attempts of the on-policy arm are compared and pushed; what exploration found is learned by replay;
- the outcome gate: a group in which nobody passed more tests than another gives no advantage at all,
  because shaped scores alone pull a policy away from every solution;
- without `scale_rewards` the division is left out (Dr. GRPO, arXiv 2503.20783).
"""

from __future__ import annotations

from statistics import fmean, stdev
from typing import TYPE_CHECKING

from altlas_agent.core.records import Arm
from altlas_agent.learning.algorithms.base import Annotated

if TYPE_CHECKING:
    from altlas_agent.core.records import Group
    from altlas_agent.settings.learning import Grpo as GrpoSettings


class Grpo:
    """Compares the on-policy attempts of a group."""

    def __init__(self, settings: GrpoSettings) -> None:
        self._settings = settings

    def annotate(self, group: Group) -> Annotated:
        scored = [j for j in group.judged if j.attempt.arm is Arm.POLICY and j.outcome.status.is_scored]
        if len(scored) < 2:
            return Annotated(dropped="fewer than two on-policy attempts were scored")
        if self._settings.outcome_gate and len({(j.outcome.passed, j.score.solved) for j in scored}) == 1:
            return Annotated(dropped="nobody passed more tests than another")
        rewards = [j.score.value for j in scored]
        spread = stdev(rewards)
        if spread == 0.0:
            return Annotated(dropped="all scores are equal")
        mean, scale = (
            fmean(rewards),
            (spread + self._settings.epsilon if self._settings.scale_rewards else 1.0),
        )
        made = {j.attempt.number: (j.score.value - mean) / scale for j in scored}
        return Annotated(advantages=tuple(made.get(j.attempt.number, 0.0) for j in group.judged))
