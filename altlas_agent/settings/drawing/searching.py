"""Settings of when a program is brought to its end early, and of the beam search."""

from __future__ import annotations

from pydantic import Field

from altlas_agent.settings.section import Section


class StopSettings(Section):
    """When a program of the policy is ended early, by the cheapest tokens that make it whole."""

    entropy: float = Field(default=0.0, ge=0, le=1)
    """It is ended when the policy is this undecided for some tokens on end, as a share of the most undecided one can
    be; 0 ends none."""

    repeats: int = Field(default=0, ge=0, le=100)
    """It is ended when the same one to four tokens come so often in a row; 0 ends none, 1 is no repetition."""

    least: int = Field(default=6, ge=1, le=10_000)
    """Tokens that are drawn in any case."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """What is never ended has no least length."""
        if self.entropy or self.repeats > 1:
            return {}
        return self.changed("least", reason="while entropy = 0 and repeats = 0")


class BeamSettings(Section):
    """A beam search for the likeliest programs of the policy, for tasks that are stuck."""

    share: float = Field(default=0.0, ge=0, le=1)
    """Share of a group that is taken from the beam search while its task is stuck; 0 never searches."""

    width: int = Field(default=8, ge=1, le=512)
    """Programs that are followed side by side."""

    after_groups: int = Field(default=8, ge=1, le=100_000)
    """A task is stuck when so many of its groups in a row did not better its best score."""

    rest: int = Field(default=20, ge=0, le=100_000)
    """Batches without a beam search after weights were reset, because what they say means little then."""

    skew: float = Field(default=0.9, gt=0, le=1)
    """There is none where the tokens of the last group had a mean chance above this: sampling finds the same."""

    length_power: float = Field(default=0.7, ge=0, le=2)
    """Programs are compared by log-probability over length to this power; 0 prefers short ones."""

    def ineffective(self, given: frozenset[str]) -> dict[str, str]:
        """A search that never is has no measures."""
        if self.share:
            return {}
        keys = ("width", "after_groups", "rest", "skew", "length_power")
        return self.changed(*keys, reason="while share = 0")
