"""Which policy loss: a record of switches that an algorithm yields. The trainer knows only this record."""

from __future__ import annotations

from typing import Literal, NamedTuple

Kind = Literal["clip", "plain", "cispo", "sapo", "vespo"]
Level = Literal["token", "sequence", "sum"]
Aggregation = Literal["sum", "grpo", "bnpo", "dr_grpo", "dapo"]


class Surrogate(NamedTuple):
    """One policy loss.

    `kind` is what becomes of ratio and advantage: clip (PPO), plain (-A logp), cispo, sapo, vespo.
    `level` is what a ratio is of: a token, the mean over a sequence (GSPO), its sum (RLOO).
    `aggregation` is how token losses become one number, see loss/aggregate.py.
    `ratio_cap` caps the ratio from above, whatever the advantage: `delta` of two-sided clipping, and the one
    clip of CISPO; 0 sets none. `top_entropy` keeps the loss on that share of the tokens, the least decided.
    `off_policy_limit` leaves out samples with a negative advantage that the policy has moved away from by
    more than this many nats a token; 0 leaves out none. `token_budget` is what dr_grpo divides by.
    """

    kind: Kind = "clip"
    level: Level = "token"
    aggregation: Aggregation = "sum"
    clip_low: float = 0.2
    clip_high: float = 0.2
    ratio_cap: float = 0.0
    top_entropy: float = 1.0
    off_policy_limit: float = 0.0
    token_budget: int = 1


SAPO_TEMPERATURES = (1.0, 1.05)
"""For positive advantages, and for the others (arXiv 2511.20347)."""

VESPO_SHAPES = ((2.0, 3.0), (3.0, 2.0))
"""k and lambda of the gamma weight: for advantages that are not negative, and for negative ones."""
