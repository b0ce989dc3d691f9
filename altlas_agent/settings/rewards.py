"""Settings of the rewards: the scorers and their weights."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from altlas_agent.settings.section import Section


class ScorerWeights(Section):
    """How much each scorer counts, relative to the others; a scorer of weight 0 is only recorded."""

    tests: float = Field(default=0.7, ge=0)
    """Weight of the share of tests passed."""

    status: float = Field(default=0.1, ge=0)
    """Weight of how the program ended: success above an error, an error above a syntax error."""

    output: float = Field(default=0.15, ge=0)
    """Weight of how near the answers are to the expected ones."""

    constraints: float = Field(default=0.1, ge=0)
    """Weight of keeping the constraints of the task."""

    length: float = Field(default=0.05, ge=0)
    """Weight of how short the program is."""

    @model_validator(mode="after")
    def _something_counts(self) -> Self:
        if not any((self.tests, self.status, self.output, self.constraints, self.length)):
            raise ValueError("every weight is 0, so every score would be; give at least one scorer a weight")
        return self


class RewardSettings(Section):
    """How an outcome becomes a score."""

    weights: ScorerWeights = ScorerWeights()
    """How much each scorer counts, relative to the others."""
