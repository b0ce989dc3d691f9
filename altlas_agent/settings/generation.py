"""Settings of generation: temperature and the arms of exploration; what shapes a draw lies in drawing/."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from altlas_agent.core.records import Arm
from altlas_agent.settings.drawing.searching import BeamSettings, StopSettings
from altlas_agent.settings.drawing.shaping import BoostSettings, CutSettings, HeatSettings, PushSettings
from altlas_agent.settings.section import Section

_ROUNDING = 1e-9


class GenerationSettings(Section):
    """How attempts are drawn from the policy."""

    temperature: float = Field(default=1.0, gt=0, le=100)
    """Temperature of the attempts that are drawn from the policy itself."""

    flat_share: float = Field(default=0.125, ge=0, le=1)
    """Share of a group that is drawn from the flattened policy, to explore."""

    flat_temperature: float = Field(default=2.0, gt=0, le=100)
    """Temperature of the flattened policy."""

    grammar_share: float = Field(default=0.125, ge=0, le=1)
    """Share of a group that is drawn from the grammar without the policy, to explore."""

    search_share: float = Field(default=0.125, ge=0, le=1)
    """Share of a group that is taken from an enumeration by size, tried on the visible tests before."""

    search_ticks: int = Field(default=24, ge=1, le=100_000)
    """Work that the enumeration may do for an attempt; a tick is some hundred expressions."""

    search_capacity: int = Field(default=8_000, ge=10, le=1_000_000)
    """Expressions of one type and size that the enumeration keeps."""

    search_value: bool = False
    """Whether the enumeration looks first at what is likely part of a solution, as learned from solved tasks."""

    mutate_share: float = Field(default=0.125, ge=0, le=1)
    """Share of a group that is made from the near misses of its task."""

    adapt_arms: bool = True
    """Whether a bandit shifts these shares, for each task, to the arms that better its best score."""

    require_boost: float = Field(default=8.0, ge=1, le=1000)
    """Factor on the chance of tokens that the constraints of a task require; 1 changes nothing."""

    fresh_tries: int = Field(default=3, ge=0, le=100)
    """How often an exploratory program that was proposed before is drawn again."""

    heat: HeatSettings = HeatSettings()
    """How the temperature of a task follows how it goes."""

    cut: CutSettings = CutSettings()
    """Which unlikely tokens are left out when the policy draws; the likeliest one never is."""

    push: PushSettings = PushSettings()
    """What is taken from or added to logits while the policy draws, before the temperature."""

    boost: BoostSettings = BoostSettings()
    """What makes tokens likelier that a task seems to need, and how the boost of what it requires ends."""

    stop: StopSettings = StopSettings()
    """When a program of the policy is ended early, by the cheapest tokens that make it whole."""

    beam: BeamSettings = BeamSettings()
    """A beam search for the likeliest programs of the policy, for tasks that are stuck."""

    @model_validator(mode="after")
    def _shares_fit_into_a_group(self) -> Self:
        if self.explore_share + self.beam.share > 1 + _ROUNDING:
            shares = {arm: share for arm, share in self.arm_shares.items() if share}
            if self.beam.share:
                shares[Arm.BEAM] = self.beam.share
            told = " + ".join(
                f"{'beam.' if arm is Arm.BEAM else f'{arm}_'}share {share:g}" for arm, share in shares.items()
            )
            raise ValueError(f"{told} is above 1")
        return self

    @property
    def arm_shares(self) -> dict[Arm, float]:
        """The share of each exploratory arm in a group; beam search has its own, while a task is stuck."""
        return {
            Arm.FLAT: self.flat_share,
            Arm.GRAMMAR: self.grammar_share,
            Arm.SEARCH: self.search_share,
            Arm.MUTATE: self.mutate_share,
        }

    @property
    def explore_share(self) -> float:
        """Their sum."""
        return sum(self.arm_shares.values())

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """A temperature is idle when no attempt is drawn with it."""
        idle: dict[str, str] = {}
        if self.flat_share == 0:
            idle["flat_temperature"] = "while flat_share = 0"
        if self.explore_share >= 1 - _ROUNDING:
            idle["temperature"] = "while the shares of the arms add up to 1"
        if self.search_share == 0:
            idle |= dict.fromkeys(("search_ticks", "search_capacity"), "while search_share = 0")
            idle |= self.changed("search_value", reason="while search_share = 0")
        if self.explore_share == 0:
            idle["adapt_arms"] = "while no arm has a share"
        return idle
