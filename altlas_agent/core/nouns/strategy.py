"""How one attempt was drawn: what was chosen for it, and what else its log-probabilities depend on."""

from __future__ import annotations

from altlas_agent.core.nouns.base import Record


class Strategy(Record, omit_defaults=True):
    """What was chosen for an attempt; it is stored with it, once for all attempts that share it.

    `name` says in a word what it is. A number at its default changes nothing and is not stored. `noise`,
    `repetition` and `imbalance` are in logits, boosts are factors on a chance. `stopped_at` is the first token that
    was not drawn but taken as the cheapest way to an end, because of `stopped_by`; -1 where nothing was stopped.
    """

    name: str
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    noise: float = 0.0
    repetition: float = 0.0
    imbalance: float = 0.0
    boost: float = 1.0
    text_boost: float = 1.0
    hint_boost: float = 1.0
    stop_entropy: float = 0.0
    stop_repeats: int = 0
    stop_after: int = 0
    beam: int = 0
    stopped_at: int = -1
    stopped_by: str = ""

    @property
    def cuts(self) -> bool:
        """Whether unlikely tokens are left out of the draw."""
        return self.top_k > 0 or self.top_p < 1.0 or self.min_p > 0.0

    @property
    def stops(self) -> bool:
        """Whether a program can be brought to its end early."""
        return self.stop_entropy > 0.0 or self.stop_repeats > 0

    @property
    def is_told_whole(self) -> bool:
        """True if the distribution follows from this and the task alone, without `Conditions`."""
        is_pushed = self.imbalance > 0.0 or self.noise > 0.0 or self.text_boost > 1.0 or self.hint_boost > 1.0
        return not (is_pushed or self.cuts or self.stopped_at >= 0)


class Conditions(Record):
    """A strategy with what else the distribution of a program depends on, kept from its draw until it is learned from.

    `pushes` has what is added to the logit of each token before the temperature, as float32; none: the boost of the
    strategy alone. `kept` has for each token of the program the set it was drawn from, a bit for each token of the
    vocabulary in whole bytes; none: whatever the grammar allowed. `seed` is that of the noise.
    """

    strategy: Strategy
    pushes: bytes = b""
    kept: bytes = b""
    seed: int = 0
