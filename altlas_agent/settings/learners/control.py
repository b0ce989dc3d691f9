"""Settings of what is regulated from step to step, and of what a token is held to account for."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from altlas_agent.settings.section import Section


class EntropySettings(Section):
    """How the policy is kept from making up its mind too early."""

    control: Literal["fixed", "success", "target"] = "fixed"
    """What decides on the weight of the bonus: entropy_coef alone, the success rate, or a target of entropy."""

    lowest: float = Field(default=0.0, ge=0, le=1)
    """The least that the regulated weight becomes; with success, its value when everything succeeds."""

    highest: float = Field(default=0.05, ge=0, le=1)
    """The most that the regulated weight becomes; with success, its value when nothing succeeds."""

    target: float = Field(default=0.5, ge=0)
    """Mean entropy of a token in nats below which the bonus is paid and grows."""

    step: float = Field(default=0.005, gt=0, le=1)
    """By how much the weight changes in each step towards the target."""

    remedy: Literal["none", "clip_cov", "kl_cov"] = "none"
    """What happens to the few tokens that make a policy decided: nothing, they are left out (clip_cov), or held
    to the policy that sampled them (kl_cov)."""

    remedy_share: float = Field(default=2e-4, gt=0, le=1)
    """How many tokens these are, as a share of those that carry an advantage, at least one."""

    kl_weight: float = Field(default=1.0, gt=0)
    """Weight of the distance that kl_cov adds."""

    top_share: float = Field(default=1.0, gt=0, le=1)
    """Only this share of the tokens, the least decided ones, carries an advantage; 1 takes all."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """What is not regulated has no bounds; what is not done has no measure."""
        idle: dict[str, str] = {}
        if self.control == "fixed":
            idle |= self.changed("lowest", "highest", reason='while control = "fixed"')
        if self.control != "target":
            idle |= self.changed("target", "step", reason='unless control = "target"')
        if self.remedy == "none":
            idle |= self.changed("remedy_share", reason='while remedy = "none"')
        if self.remedy != "kl_cov":
            idle |= self.changed("kl_weight", reason='unless remedy = "kl_cov"')
        return idle


class PaceSettings(Section):
    """How the learning rate follows what the student achieves."""

    by_score: bool = False
    """Whether the rate falls while the mean score does not rise, and recovers when it does."""

    patience_steps: int = Field(default=50, ge=1)
    """Steps without a rise before the rate falls."""

    factor: float = Field(default=0.5, gt=0, lt=1)
    """What is left of the rate when it falls; a rise gives the same back."""

    least_share: float = Field(default=0.1, gt=0, le=1)
    """The rate never falls below this share of learning_rate."""

    fault_boost: float = Field(default=0.0, ge=0, le=10)
    """How much is added to the rate, as a share of it, when every attempt breaks down rather than answers wrongly;
    0 switches it off."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """A rate that does not fall needs no measure."""
        if self.by_score:
            return {}
        return self.changed("patience_steps", "factor", "least_share", reason="while by_score = false")


class ZclipSettings(Section):
    """Gradients that are far longer than usual are shortened to what is usual."""

    enabled: bool = False
    """Whether that is done, beside clip_norm, which hides it unless it is raised above the usual length."""

    decay: float = Field(default=0.97, gt=0, lt=1)
    """What is left of the running mean and variance of the length after each step."""

    threshold: float = Field(default=2.5, gt=0)
    """How many standard deviations above the mean a length is unusual."""

    warmup_steps: int = Field(default=25, ge=2, le=10_000)
    """Steps from which the first mean and variance are taken."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """Switched off it has no measure."""
        if self.enabled:
            return {}
        return self.changed("decay", "threshold", "warmup_steps", reason="while enabled = false")


class ReferenceSettings(Section):
    """A frozen copy of the policy that it is held close to."""

    weight: float = Field(default=0.0, ge=0)
    """Weight of the distance from the copy in the loss; 0 makes no copy."""

    refresh_versions: int = Field(default=50, ge=1)
    """Policy versions after which the copy is taken anew."""

    bias_correction: bool = False
    """Whether the distance is weighed by the ratio to the policy that sampled."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """Without a copy there is nothing to refresh."""
        if self.weight:
            return {}
        return self.changed("refresh_versions", "bias_correction", reason="while weight = 0")


class CreditSettings(Section):
    """How what a program earned is shared among its tokens."""

    discount: float = Field(default=1.0, gt=0, le=1)
    """A token counts for this share of the one after it: the score comes at the end. 1 counts all alike."""

    blame: float = Field(default=0.0, ge=0, le=100)
    """How much more of a bad score falls on the tokens that the tools blame for it, at the worst fault; 0 shares
    it evenly."""
