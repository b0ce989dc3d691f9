"""Settings of learning: the terms of the loss, the optimiser and replay; its parts lie in learners/."""

from __future__ import annotations

from pydantic import Field

from altlas_agent.settings.learners.algorithms import Algorithm, Grpo
from altlas_agent.settings.learners.control import (
    CreditSettings,
    EntropySettings,
    PaceSettings,
    ReferenceSettings,
    ZclipSettings,
)
from altlas_agent.settings.learners.feedback import FeedbackSettings
from altlas_agent.settings.section import Section


class LearningSettings(Section):
    """How the student learns from scored attempts."""

    algorithm: Algorithm = Grpo()
    """What turns groups of scored attempts into advantages; `type` chooses the kind."""

    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    """Step size of the optimiser."""

    rl_weight: float = Field(default=1.0, ge=0)
    """Weight of the advantages in the loss; 0 learns from replayed programs only."""

    entropy_coef: float = Field(default=0.01, ge=0)
    """Weight of the bonus for staying undecided, which keeps the policy exploring."""

    clip_norm: float = Field(default=1.0, gt=0)
    """Gradients longer than this are shortened to it."""

    replay_capacity: int = Field(default=256, ge=1)
    """Solved programs that are kept for replay."""

    replay_share: float = Field(default=0.5, ge=0, le=1)
    """Replayed programs in a step, as a share of its attempts; 0 switches replay off."""

    replay_weight: float = Field(default=1.0, gt=0)
    """Weight of the replayed programs in the loss."""

    threads: int = Field(default=1, ge=1, le=256)
    """Threads that the student computes with; runs are reproducible with 1."""

    entropy: EntropySettings = EntropySettings()
    """How the policy is kept from making up its mind too early."""

    pace: PaceSettings = PaceSettings()
    """How the learning rate follows what the student achieves."""

    zclip: ZclipSettings = ZclipSettings()
    """Gradients that are far longer than usual are shortened to what is usual."""

    reference: ReferenceSettings = ReferenceSettings()
    """A frozen copy of the policy that it is held close to."""

    credit: CreditSettings = CreditSettings()
    """How what a program earned is shared among its tokens."""

    feedback: FeedbackSettings = FeedbackSettings()
    """What is remembered of the feedback on attempts, and what comes of that."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """Replay that is switched off has neither size nor weight; a weight that is regulated is not given."""
        idle: dict[str, str] = {}
        if self.replay_share == 0:
            idle |= dict.fromkeys(("replay_capacity", "replay_weight"), "while replay_share = 0")
        if self.entropy.control == "success":
            idle["entropy_coef"] = 'while entropy.control = "success"'
        return idle
