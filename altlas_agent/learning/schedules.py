"""What changes from step to step beside the weights: entropy bonus, learning rate, limit of the gradient.

Each is a small part in control/ that a setting turns on; here they are kept together, told what happened, and
asked for their numbers. What they remember travels in the checkpoints.
"""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from altlas_agent.core.records import Arm
from altlas_agent.core.states import ControlState
from altlas_agent.learning.control import entropy, pace, zclip

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.core.records import Group, Judged
    from altlas_agent.settings.learning import LearningSettings


class Reading(NamedTuple):
    """Of the on-policy attempts of a step: mean score, share solved, share that broke down."""

    score: float
    success: float
    broken: float


class Schedules:
    """Regulates the steps of one student."""

    def __init__(self, settings: LearningSettings) -> None:
        self.settings = settings
        self.state = ControlState()

    def observe(self, groups: Sequence[Group]) -> None:
        """A step begins that learns from these groups. Without on-policy attempts nothing is concluded."""
        state = msgspec.structs.replace(self.state, steps=self.state.steps + 1)
        reading = reading_of(groups)
        if reading is not None:
            state = msgspec.structs.replace(
                state,
                entropy=msgspec.structs.replace(state.entropy, success=reading.success),
                pace=pace.observed(self.settings.pace, state.pace, reading.score, reading.broken),
            )
        self.state = state

    def entropy_coefficient(self) -> float:
        """The weight of the entropy bonus."""
        return entropy.coefficient(self.settings.entropy, self.state.entropy, self.settings.entropy_coef)

    def rate_share(self) -> float:
        """What the learning rate is multiplied by."""
        return pace.rate_share(self.settings.pace, self.state.pace)

    def norm_limit(self, norm: float) -> float:
        """How long a gradient of this length may be when it is applied.

        `clip_norm` holds beside ZClip, and hides it where gradients are usually longer.
        """
        return min(self.settings.clip_norm, zclip.limit(self.settings.zclip, self.state.norms, norm))

    def stepped(self, mean_entropy: float, norm: float) -> None:
        """A step was taken with this entropy per token; its gradient was so long before it was shortened."""
        settings, state = self.settings, self.state
        usual = min(norm, zclip.limit(settings.zclip, state.norms, norm))
        self.state = msgspec.structs.replace(
            state,
            entropy=entropy.after_step(settings.entropy, state.entropy, settings.entropy_coef, mean_entropy),
            norms=zclip.observed(settings.zclip, state.norms, usual),
        )

    def figures(self) -> dict[str, float]:
        """The numbers that are regulated, where any are."""
        settings = self.settings
        found: dict[str, float] = {}
        if settings.entropy.control != "fixed":
            found["entropy_coef"] = self.entropy_coefficient()
        if settings.pace.by_score or settings.pace.fault_boost:
            found["rate_share"] = self.rate_share()
        return found


def reading_of(groups: Sequence[Group]) -> Reading | None:
    """None without on-policy attempts that were scored."""
    own = [
        judged
        for group in groups
        for judged in group.judged
        if judged.attempt.arm is Arm.POLICY and judged.outcome.status.is_scored
    ]
    if not own:
        return None
    return Reading(
        score=fmean(judged.score.value for judged in own),
        success=fmean(judged.score.solved for judged in own),
        broken=fmean(_broke_down(judged) for judged in own),
    )


def _broke_down(judged: Judged) -> bool:
    return judged.feedback is not None and judged.feedback.fault not in pace.ANSWERED
