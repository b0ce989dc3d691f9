"""How far the policy has moved since it sampled, and from a reference. Shapes: N samples, T tokens.

Every log-ratio is clamped before it is exponentiated: an infinity times a mask of zero is NaN.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

    from altlas_agent.learning.loss.surrogate import Level

FARTHEST = 20.0
"""Nats; a ratio of e^20 is as good as infinite."""


def importance_ratio(differences_NT: Tensor, mask_NT: Tensor, level: Level) -> Tensor:
    """exp(log pi - log pi_old): (N, T) of tokens, else (N, 1) of the mean (GSPO) or the sum (RLOO)."""
    if level == "token":
        return differences_NT.clamp(-FARTHEST, FARTHEST).exp()
    sums_N1 = (differences_NT * mask_NT).sum(1, keepdim=True)
    logs_N1 = sums_N1 if level == "sum" else sums_N1 / lengths(mask_NT)
    return logs_N1.clamp(-FARTHEST, FARTHEST).exp()


def lengths(mask_NT: Tensor) -> Tensor:
    """(N, 1) tokens of each sample, at least one, so that an empty one divides nothing by zero."""
    return mask_NT.sum(1, keepdim=True).clamp(min=1.0)


def k3(logps_NT: Tensor, reference_NT: Tensor) -> Tensor:
    """(N, T) estimate of the divergence from the reference, never negative: e^d - d - 1 with d = ref - new."""
    differences_NT = (reference_NT - logps_NT).clamp(-FARTHEST, FARTHEST)
    return differences_NT.exp() - differences_NT - 1.0


@torch.no_grad()
def stays_close(differences_NT: Tensor, advantages: Tensor, mask_NT: Tensor, limit: float) -> Tensor:
    """(N, 1) or the shape of the advantages: 0 where a bad sample has become a different one, else 1.

    Off-policy sequence masking (DeepSeek-V3.2, arXiv 2512.02556).
    """
    moved_N1 = (-differences_NT * mask_NT).sum(1, keepdim=True) / lengths(mask_NT)
    return ((advantages >= 0) | (moved_N1 <= limit)).to(mask_NT.dtype)


@torch.no_grad()
def gamma_weight(
    differences_NT: Tensor, mask_NT: Tensor, shape_N1: tuple[Tensor, Tensor], correction_NT: Tensor | None
) -> Tensor:
    """VESPO's weight e^lambda w^k e^(-lambda w) of the ratio w of whole sequences; 1 at w = 1.

    `shape_N1` are k and lambda. A correction is 1 where nothing counts.
    """
    least = math.log(1e-8)
    logs_N1 = (differences_NT.clamp(-FARTHEST, FARTHEST) * mask_NT).sum(1, keepdim=True)
    if correction_NT is not None:
        logs_N1 = logs_N1 + correction_NT.log().clamp(least, FARTHEST).sum(1, keepdim=True)
    logs_N1 = logs_N1.clamp(least, FARTHEST)
    k, rate = shape_N1
    return (rate + k * logs_N1 - rate * logs_N1.exp()).exp()
