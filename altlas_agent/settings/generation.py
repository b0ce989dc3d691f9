"""Settings of generation: temperature and the arms of exploration."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from altlas_agent.settings.section import Section

_ROUNDING = 1e-9


class GenerationSettings(Section):
    """How attempts are drawn from the policy."""

    temperature: float = Field(default=1.0, gt=0, le=100)
    """Temperature of the attempts that are drawn from the policy itself."""

    flat_share: float = Field(default=0.25, ge=0, le=1)
    """Share of a group that is drawn from the flattened policy, to explore."""

    flat_temperature: float = Field(default=2.0, gt=0, le=100)
    """Temperature of the flattened policy."""

    grammar_share: float = Field(default=0.25, ge=0, le=1)
    """Share of a group that is drawn from the grammar without the policy, to explore."""

    require_boost: float = Field(default=8.0, ge=1, le=1000)
    """Factor on the chance of tokens that the constraints of a task require; 1 changes nothing."""

    fresh_tries: int = Field(default=3, ge=0, le=100)
    """How often an exploratory program that was proposed before is drawn again."""

    @model_validator(mode="after")
    def _shares_fit_into_a_group(self) -> Self:
        if self.flat_share + self.grammar_share > 1 + _ROUNDING:
            raise ValueError(
                f"flat_share {self.flat_share:g} + grammar_share {self.grammar_share:g} is above 1"
            )
        return self

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """A temperature is idle when no attempt is drawn with it."""
        idle: dict[str, str] = {}
        if self.flat_share == 0:
            idle["flat_temperature"] = "while flat_share = 0"
        if self.flat_share + self.grammar_share >= 1 - _ROUNDING:
            idle["temperature"] = "while flat_share + grammar_share = 1"
        return idle
