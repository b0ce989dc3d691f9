"""Settings of the rewards: the scorers and their weights, and what becomes of scores after that."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from altlas_agent.settings.section import Section


class ScorerWeights(Section):
    """How much each scorer counts, relative to the others.

    The first five are recorded with every attempt, also at weight 0; the others only while they count.
    """

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

    syntax: float = Field(default=0.0, ge=0)
    """Weight of being a program: 1 if it parses, less the earlier its first error stands."""

    execution: float = Field(default=0.0, ge=0)
    """Weight of the share of tests that got an answer, whatever it was."""

    structure: float = Field(default=0.0, ge=0)
    """Weight of the share of constraints and patterns that are kept."""

    description: float = Field(default=0.0, ge=0)
    """Weight of having the operators, literals and constructs that the words of the task ask for."""

    reference: float = Field(default=0.0, ge=0)
    """Weight of having the operators, literals, constructs and calls of the reference solution."""

    format: float = Field(default=0.0, ge=0)
    """Weight of the tags around thoughts and answer; a bare program has them right."""

    novelty: float = Field(default=0.0, ge=0)
    """Weight of not having been proposed before for the task, in this run."""

    @model_validator(mode="after")
    def _something_counts(self) -> Self:
        if not any(weight for name, weight in self if name != "novelty"):
            raise ValueError(
                "every weight is 0, novelty aside, so every score would be; give at least one scorer a weight"
            )
        return self


class ShapingSettings(Section):
    """What becomes of a score before it is learned from; all of it is off as it comes."""

    schedule: bool = False
    """Whether the form of programs counts first, and what they do later, as the run goes on."""

    form_first: float = Field(default=0.8, ge=0, le=1)
    """Share of the form in a score while nothing is solved."""

    form_last: float = Field(default=0.1, ge=0, le=1)
    """Share of the form in a score at the end of the schedule."""

    schedule_end: float = Field(default=0.6, gt=0, le=1)
    """Share of tasks solved at which the schedule ends for a task of difficulty 1; later for harder ones."""

    plateau_gain: float = Field(default=1.0, ge=1, le=10)
    """How far differences between unsolved attempts are stretched at most on a plateau; 1 leaves them."""

    plateau_groups: int = Field(default=20, ge=1)
    """Groups of a task without a better mean that make a plateau."""

    normalize: bool = False
    """Whether unsolved scores are placed by the running mean and spread of their task."""

    decay: float = Field(default=0.95, ge=0, lt=1)
    """What is left of that running mean after each further group."""

    duplicate_price: float = Field(default=0.0, ge=0, le=1)
    """Share of its score that a program loses in the end that is proposed again and again; a solution loses
    that share of what it has above unsolved ones."""

    remembered: int = Field(default=256, ge=1, le=100_000)
    """Programs of each task that are remembered to know what is new."""

    @property
    def counts_scores(self) -> bool:
        """True when the scores of earlier groups are asked for."""
        return self.normalize or self.plateau_gain > 1.0

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """What is off has no details."""
        idle: dict[str, str] = {}
        if not self.schedule:
            details = ("form_first", "form_last", "schedule_end")
            idle |= self.changed(*details, reason="while schedule = false")
        if self.plateau_gain == 1.0:
            idle |= self.changed("plateau_groups", reason="while plateau_gain = 1")
        if not self.counts_scores:
            idle |= self.changed("decay", reason="while normalize = false and plateau_gain = 1")
        return idle


class RewardSettings(Section):
    """How an outcome becomes a score."""

    weights: ScorerWeights = ScorerWeights()
    """How much each scorer counts, relative to the others."""

    shaping: ShapingSettings = ShapingSettings()
    """What becomes of a score before it is learned from."""

    @property
    def looks_back(self) -> bool:
        """True when it is asked how often a program was proposed before."""
        return self.weights.novelty > 0.0 or self.shaping.duplicate_price > 0.0

    @property
    def shapes(self) -> bool:
        """True when a score depends on more than its attempt."""
        return self.looks_back or self.shaping.schedule or self.shaping.counts_scores
