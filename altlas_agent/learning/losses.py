"""Pure loss functions. Shapes: N samples, T tokens; masks are 1 where a token counts."""

from __future__ import annotations

import torch
from torch import Tensor


def clipped_policy_gradient(
    logps_NT: Tensor, old_logps_NT: Tensor, advantages_NT: Tensor, *, clip: float
) -> Tensor:
    """(N, T) token losses -min(w A, clip(w, 1 - clip, 1 + clip) A) with w = exp(logp - old logp).

    GRPO's surrogate (arXiv 2402.03300), without its KL term.
    """
    ratio_NT = torch.exp(logps_NT - old_logps_NT)
    clipped_NT = ratio_NT.clamp(1.0 - clip, 1.0 + clip)
    return -torch.minimum(ratio_NT * advantages_NT, clipped_NT * advantages_NT)


def entropy(log_probabilities_NTV: Tensor) -> Tensor:
    """(N, T) entropy in nats; masked tokens have a log-probability so low that they add nothing."""
    return -(log_probabilities_NTV.exp() * log_probabilities_NTV.clamp(min=-60.0)).sum(-1)


def per_sample_sum(values_NT: Tensor, mask_NT: Tensor) -> Tensor:
    """(N,) sums over the tokens of each sample."""
    return (values_NT * mask_NT).sum(-1)
