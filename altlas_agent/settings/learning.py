"""Settings of learning: the optimiser, replay, and one class per algorithm.

To add an algorithm, write its class with a `type` of its own and widen the alias to
`Annotated[Grpo | Other, Field(discriminator="type")]`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from altlas_agent.settings.section import Section


class Grpo(Section):
    """Group-relative policy optimisation: attempts are compared with the others of their group."""

    type: Literal["grpo"] = "grpo"
    """Kind of algorithm: grpo, which compares the attempts of a group with each other."""

    outcome_gate: bool = True
    """Whether a group counts only if some attempt in it passed more tests than another."""

    scale_rewards: bool = True
    """Whether advantages are divided by the spread of the scores of their group."""

    epsilon: float = Field(default=1e-4, gt=0, le=1)
    """What is added to that spread, so that nearly equal scores are not blown up."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """Without the division there is nothing to add to."""
        return {} if self.scale_rewards else {"epsilon": "while scale_rewards = false"}


Algorithm = Grpo


class LearningSettings(Section):
    """How the student learns from scored attempts."""

    algorithm: Algorithm = Grpo()
    """What turns a group of scored attempts into advantages; `type` chooses the kind."""

    learning_rate: float = Field(default=2e-3, gt=0, le=1)
    """Step size of the optimiser."""

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

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """Replay that is switched off has neither size nor weight."""
        if self.replay_share > 0:
            return {}
        return dict.fromkeys(("replay_capacity", "replay_weight"), "while replay_share = 0")
