"""Settings of what is done to the logits before a token is drawn; the log-probability that is trained has it all."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from altlas_agent.settings.section import Section


class CutSettings(Section):
    """Which unlikely tokens are left out when the policy draws; the likeliest one never is."""

    top_k: int = Field(default=0, ge=0, le=10_000)
    """Only so many of the likeliest tokens are drawn from, and those as likely as the last; 0 takes all."""

    top_p: float = Field(default=1.0, gt=0, le=1)
    """Only the fewest likeliest tokens are drawn from whose chances add up to this much; 1 takes all."""

    min_p: float = Field(default=0.0, ge=0, le=1)
    """Only tokens are drawn that have at least this share of the chance of the likeliest one; 0 takes all."""


class PushSettings(Section):
    """What is taken from or added to logits while the policy draws, before the temperature."""

    noise: float = Field(default=0.0, ge=0, le=100)
    """Spread of the noise on each logit, another for each token of each attempt; 0 adds none."""

    repetition: float = Field(default=0.0, ge=0, le=100)
    """What a token loses for each time it was already written in the program; 0 takes nothing."""

    imbalance: float = Field(default=0.0, ge=0, le=100)
    """What a token loses when it is written far more often than others of its role, and for each doubling beyond;
    0 takes nothing."""

    imbalance_cooldown: int = Field(default=20, ge=1, le=100_000)
    """Batches in which that fades away, and until the token is looked at again."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """What takes nothing does not fade."""
        if self.imbalance:
            return {}
        return self.changed("imbalance_cooldown", reason="while imbalance = 0")


class BoostSettings(Section):
    """What makes tokens likelier that a task seems to need, and how the boost of what it requires ends."""

    decay: Literal["none", "steps", "success"] = "none"
    """Whether require_boost stays, falls with the steps learned, or with the recent score of the task."""

    half_life: int = Field(default=200, ge=1, le=1_000_000)
    """Steps after which half of the boost, in logits, is left."""

    text: float = Field(default=1.0, ge=1, le=1000)
    """Factor on the chance of tokens that words of the description speak of; 1 changes nothing."""

    hint: float = Field(default=1.0, ge=1, le=1000)
    """Factor on the chance of tokens that words of the hint speak of; 1 changes nothing."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """Only what falls with the steps has a half-life."""
        return {} if self.decay == "steps" else self.changed("half_life", reason='unless decay = "steps"')


class HeatSettings(Section):
    """How the temperature of a task follows how it goes."""

    by_score: float = Field(default=0.0, ge=0, le=0.95)
    """By this share the temperature is higher while the recent score of a task is 0, and lower when it is 1."""

    by_repeats: float = Field(default=0.0, ge=0, le=10)
    """By so many times the temperature is higher when all of the last attempts at a task were the same."""
