"""The policy loss of every algorithm: one function with switches. Shapes: N samples, T tokens.

The clipped surrogate is PPO's; what the kinds and levels are is told in loss/surrogate.py. Sources: GRPO
(arXiv 2402.03300), GSPO (2507.18071), RLOO (2402.14740), CISPO (2506.13585), SAPO (2511.20347), VESPO (2602.10693), two-sided
clipping (INTELLECT-2, 2505.07291). The tests hold each against what TRL 1.16 computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from altlas_agent.learning.loss.entropy import least_decided
from altlas_agent.learning.loss.ratios import gamma_weight, importance_ratio, stays_close
from altlas_agent.learning.loss.surrogate import SAPO_TEMPERATURES, VESPO_SHAPES

if TYPE_CHECKING:
    from torch import Tensor

    from altlas_agent.learning.loss.surrogate import Surrogate


class Sampled(NamedTuple):
    """What a policy loss is computed from.

    `advantages` is (N, T), or (N, 1) where all tokens of a sample share one. `correction_NT` is the ratio of
    the training to the sampling engine where these differ, `sampling_logps_NT` what that engine noted.
    """

    logps_NT: Tensor
    old_logps_NT: Tensor
    advantages: Tensor
    mask_NT: Tensor
    entropies_NT: Tensor | None = None
    correction_NT: Tensor | None = None
    sampling_logps_NT: Tensor | None = None


class Losses(NamedTuple):
    """Token losses, (N, T) or (N, 1) where a sample has only one, with the ratios and which were clipped."""

    values: Tensor
    ratios: Tensor
    clipped: Tensor


def token_losses(sampled: Sampled, surrogate: Surrogate) -> Losses:
    """What is to be aggregated over tokens and samples."""
    differences_NT = sampled.logps_NT - sampled.old_logps_NT
    ratios = importance_ratio(differences_NT, sampled.mask_NT, surrogate.level)
    bounded = ratios.clamp(1.0 - surrogate.clip_low, 1.0 + surrogate.clip_high)
    values = _values(sampled, surrogate, ratios, bounded)
    return Losses(_masked(sampled, surrogate, values), ratios, bounded != ratios)


def _values(sampled: Sampled, surrogate: Surrogate, ratios: Tensor, bounded: Tensor) -> Tensor:
    advantages, logps_NT = sampled.advantages, sampled.logps_NT
    capped = ratios.clamp(max=surrogate.ratio_cap) if surrogate.ratio_cap else ratios
    match surrogate.kind:
        case "clip":
            return -torch.minimum(capped * advantages, bounded * advantages)
        case "plain":
            return -advantages * logps_NT
        case "cispo":
            return -capped.detach() * advantages * logps_NT
        case "sapo":
            heat = torch.where(advantages > 0, *SAPO_TEMPERATURES).to(ratios.dtype)
            return -(heat * (ratios - 1.0)).sigmoid() * 4.0 / heat * advantages
        case "vespo":
            return -_gamma(sampled) * advantages * logps_NT


def _gamma(sampled: Sampled) -> Tensor:
    """The weight that VESPO gives whole sequences."""
    is_good = sampled.advantages >= 0
    shapes = zip(*VESPO_SHAPES, strict=True)
    k, rate = (torch.where(is_good, good, bad).to(sampled.mask_NT.dtype) for good, bad in shapes)
    differences_NT = sampled.logps_NT - sampled.old_logps_NT
    return gamma_weight(differences_NT, sampled.mask_NT, (k, rate), sampled.correction_NT)


def _masked(sampled: Sampled, surrogate: Surrogate, values: Tensor) -> Tensor:
    """Without what the switches leave out."""
    if surrogate.off_policy_limit:
        noted_NT = sampled.old_logps_NT if sampled.sampling_logps_NT is None else sampled.sampling_logps_NT
        moved_NT = sampled.logps_NT.detach() - noted_NT
        limit = surrogate.off_policy_limit
        values = values * stays_close(moved_NT, sampled.advantages, sampled.mask_NT, limit)
    if surrogate.top_entropy < 1.0 and sampled.entropies_NT is not None:
        values = values * least_decided(sampled.entropies_NT, sampled.mask_NT, surrogate.top_entropy)
    if sampled.correction_NT is not None and surrogate.kind != "vespo":  # VESPO has it in its weight
        values = values * sampled.correction_NT
    return values
