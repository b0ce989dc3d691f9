"""The terms of the loss of a step: advantages (rl), likelihood (ce), distance from a reference, entropy bonus.

Shapes: N samples, T tokens. Each term is a sum divided by totals of the whole step, so a step may be gone through
in parts; what looks at all tokens together (top entropy, Clip-Cov, KL-Cov) then looks at those of a part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from altlas_agent.learning.loss.aggregate import Totals, aggregate
from altlas_agent.learning.loss.entropy import clip_cov, covariances, kl_cov
from altlas_agent.learning.loss.policy import Losses, Sampled, token_losses
from altlas_agent.learning.loss.ratios import k3

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from altlas_agent.core.records import Sample
    from altlas_agent.learning.loss.surrogate import Surrogate
    from altlas_agent.settings.learners.control import EntropySettings


class StepTotals(NamedTuple):
    """What the sums over all samples are divided by, whatever the parts."""

    rl: Totals
    ce: float
    tokens: float


def totals_of_step(samples: Sequence[Sample], surrogate: Surrogate) -> StepTotals:
    """Over every sample of a step, at least one of each, so that nothing is divided by zero."""
    lengths = [len(sample.tokens) for sample in samples if any(sample.rl)]
    count = float(max(len(lengths), 1))
    rl = Totals(count, float(max(sum(lengths), 1)), count * surrogate.token_budget)
    ce = sum(any(sample.ce) for sample in samples)
    return StepTotals(rl, float(max(ce, 1)), float(max(sum(len(s.tokens) for s in samples), 1)))


def remedied(sampled: Sampled, losses: Losses, settings: EntropySettings, chance: torch.Generator) -> Tensor:
    """The token losses without, or with a brake on, the tokens that make the policy decided."""
    if settings.remedy == "none":
        return losses.values
    logps_NT, mask_NT = sampled.logps_NT.detach(), sampled.mask_NT
    advantages_NT = sampled.advantages.expand_as(logps_NT)
    covariances_NT = covariances(logps_NT, advantages_NT, mask_NT)
    if settings.remedy == "clip_cov":
        free_NT = ~losses.clipped.expand_as(logps_NT)
        return losses.values * clip_cov(covariances_NT, free_NT, settings.remedy_share, chance)
    chosen_NT = kl_cov(covariances_NT, settings.remedy_share)
    distance_NT = (sampled.logps_NT - sampled.old_logps_NT).abs()
    held_NT = -losses.ratios * advantages_NT + settings.kl_weight * distance_NT
    return torch.where(chosen_NT.bool(), held_NT, losses.values)


def policy_term(
    sampled: Sampled,
    surrogate: Surrogate,
    totals: Totals,
    *,
    entropy: EntropySettings,
    chance: torch.Generator,
) -> tuple[Tensor, Losses]:
    """The term of the advantages, with the losses it was made of."""
    losses = token_losses(sampled, surrogate)
    values = remedied(sampled, losses, entropy, chance)
    return aggregate(values, sampled.mask_NT, surrogate.aggregation, totals), losses


def reference_term(
    sampled: Sampled, reference_NT: Tensor, surrogate: Surrogate, totals: Totals, *, ratios: Tensor | None
) -> Tensor:
    """The distance from the reference where there are advantages, weighed by `ratios` where they are given."""
    distances_NT = k3(sampled.logps_NT, reference_NT)
    distances_NT = distances_NT if ratios is None else distances_NT * ratios
    return aggregate(distances_NT, sampled.mask_NT, surrogate.aggregation, totals)
