"""Group-relative advantages.

GRPO, DeepSeekMath 2024 (arXiv 2402.03300): A_i = (r_i - mean) / (std + eps) within the group, with the
n - 1 standard deviation. Without the division, and with the losses of tokens summed and divided by a constant,
it is Dr. GRPO (arXiv 2503.20783). GSPO (arXiv 2507.18071) has the same advantages and one ratio for a whole
program. Deviations:
- only attempts of the on-policy arm are compared and pushed; what exploration found is learned by replay;
- the outcome gate: a group in which nobody passed more tests than another gives no advantage at all,
  because shaped scores alone pull a policy away from every solution;
- the losses of tokens are summed over a program by default, not averaged: programs are short, and a mean
  would make long wrong ones cheap.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.learning.algorithms.advantages import group_relative
from altlas_agent.learning.algorithms.base import Algorithm, Annotated
from altlas_agent.learning.algorithms.compared import annotated, compared, uneven
from altlas_agent.learning.loss.surrogate import Surrogate
from altlas_agent.settings.learners.algorithms import Grpo as GrpoSettings
from altlas_agent.settings.learners.algorithms import Gspo as GspoSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.core.records import Group


class Grpo(Algorithm[GrpoSettings]):
    """Compares the on-policy attempts of a group. `discount` is that of a token by the one after it."""

    @property
    def surrogate(self) -> Surrogate:
        settings = self._settings
        return Surrogate(
            kind=settings.loss,
            level=settings.ratio,
            aggregation=settings.aggregation,
            clip_low=settings.clip_low,
            clip_high=settings.clip_high,
            ratio_cap=settings.ratio_cap,
            off_policy_limit=settings.off_policy_limit,
            token_budget=settings.token_budget,
        )

    def annotate(self, groups: Sequence[Group]) -> list[Annotated]:
        settings = self._settings
        found = [uneven(compared(group, outcome_gate=settings.outcome_gate)) for group in groups]
        made = group_relative([each.scores for each in found], settings.scale_rewards, settings.epsilon)
        return [annotated(*each, self._discount) for each in zip(groups, found, made, strict=True)]


class Gspo(Algorithm[GspoSettings]):
    """The advantages of GRPO; the clipped ratio is that of the whole program."""

    @property
    def surrogate(self) -> Surrogate:
        low, high = self._settings.clip_low, self._settings.clip_high
        return Surrogate(level="sequence", aggregation="grpo", clip_low=low, clip_high=high)

    def annotate(self, groups: Sequence[Group]) -> list[Annotated]:
        gate = self._settings.outcome_gate
        found = [uneven(compared(group, outcome_gate=gate)) for group in groups]
        made = group_relative([each.scores for each in found], "group", self._settings.epsilon)
        return [annotated(*each, self._discount) for each in zip(groups, found, made, strict=True)]
