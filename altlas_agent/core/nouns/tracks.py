"""What the choice of a strategy remembers from batch to batch."""

from __future__ import annotations

import msgspec

from altlas_agent.core.nouns.base import Record
from altlas_agent.core.nouns.strategy import Conditions  # noqa: TC001 - msgspec looks it up in this module


class Held(Record):
    """A token that is held back: by how many logits at first, and for how many batches more."""

    token: int
    penalty: float
    left: int
    excess: float
    """How many even shares it had when it was found."""


class ImbalanceState(Record):
    """How often which token was written, and what is held back for it, between batches."""

    counts: tuple[float, ...] = ()
    held: tuple[Held, ...] = ()
    batches: int = 0
    found: int = 0
    """How often a token was found to be used too much."""
    cooldown: int = 1
    """The cooldown under which `held` were found, so that penalties know how far they have faded."""


class TaskTrack(Record):
    """How the policy's own attempts at one task went.

    `score` is a running mean, `repeats` the share of the last group that repeats another attempt of it, `certainty`
    the mean chance of the tokens of that group, `best` the best score so far, and `stale` how many groups of whatever
    arms did not better it.
    """

    score: float = 0.0
    repeats: float = 0.0
    certainty: float = 0.0
    best: float = 0.0
    stale: int = 0


class StrategyState(Record):
    """All of it. `rest` is for how many batches more there is no beam search; `drawn` waits to be learned from."""

    steps: int = 0
    rest: int = 0
    tracks: dict[str, TaskTrack] = msgspec.field(default_factory=dict[str, TaskTrack])
    imbalance: ImbalanceState = ImbalanceState()
    drawn: tuple[tuple[int, Conditions], ...] = ()
