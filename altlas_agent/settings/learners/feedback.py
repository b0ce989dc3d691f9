"""Settings of what is remembered of the feedback on attempts, and of what comes of it."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from altlas_agent.settings.section import Section


class GuideSettings(Section):
    """How exploration follows from the feedback on a task; each number is off at 0."""

    share_boost: float = Field(default=0.0, ge=0, le=10)
    """How much larger the exploratory share of a group becomes, as a share of it, when every failure of the last one
    was a program that had failed before."""

    temperature_boost: float = Field(default=0.0, ge=0, le=10)
    """How much higher the temperature of exploratory attempts becomes then, as a share of it."""

    arm_strength: float = Field(default=0.0, ge=0, le=1)
    """How far the arms follow what most failures have in common: broken, slow or wrong."""

    blame_penalty: float = Field(default=0.0, ge=0, le=10)
    """What is taken from the logit of a token that is to blame for every failure, in exploratory attempts."""

    @property
    def is_on(self) -> bool:
        """True when anything follows from the feedback."""
        return bool(self.share_boost or self.temperature_boost or self.arm_strength or self.blame_penalty)


class FeedbackSettings(Section):
    """What is remembered of the feedback on attempts, and what comes of that; all of it is off as it comes."""

    remember: bool = False
    """Whether each task remembers which programs failed, how often and of what, and the best one so far."""

    programs: int = Field(default=32, ge=1, le=10_000)
    """Failed programs of each task that are remembered, those seen last."""

    start_from: str = ""
    """A run of the same home that is over, as r12, with whose memory a new run begins; empty: with none."""

    @field_validator("start_from")
    @classmethod
    def _is_a_number_of_a_run(cls, name: str) -> str:
        if not re.fullmatch(r"(r[1-9][0-9]{0,17})?", name):
            raise ValueError(
                f"must be the number of a run, as r12, so that it always means the same one, not {name!r}"
            )
        return name

    error_text: bool = False
    """Whether the policy reads what may be said of the last failure at the task, without values of tests."""

    context: Literal["none", "code", "tokens"] = "none"
    """As what the policy reads the best program so far at the task: not at all, as code, or as abstract tokens."""

    guide: GuideSettings = GuideSettings()
    """How exploration follows from the feedback on a task."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """Nothing has an effect without the memory."""
        if self.remember:
            return {}
        return self.changed(
            "programs", "start_from", "error_text", "context", "guide", reason="while remember = false"
        )
