"""Entropy, and the remedies against its collapse that change the loss of single tokens.

Clip-Cov and KL-Cov: The Entropy Mechanism 2025 (arXiv 2505.22617). The tokens whose log-probability goes
with their advantage are those that make a policy decided too early. Top-entropy tokens: arXiv 2506.01939.
Shapes: N samples, T tokens, V abstract tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor

CLIP_COV = (1.0, 5.0)
"""Between these a covariance makes a token eligible for Clip-Cov."""


def entropy(log_probabilities_NTV: Tensor) -> Tensor:
    """(N, T) entropy in nats; masked tokens have a log-probability so low that they add nothing."""
    return -(log_probabilities_NTV.exp() * log_probabilities_NTV.clamp(min=-60.0)).sum(-1)


@torch.no_grad()
def least_decided(entropies_NT: Tensor, mask_NT: Tensor, share: float) -> Tensor:
    """(N, T) 1 for that share of the tokens with the most entropy, ties included, else 0."""
    counted = entropies_NT[mask_NT.bool()].float()
    if not counted.numel():
        return torch.zeros_like(mask_NT)
    least = torch.quantile(counted, 1.0 - share)
    return ((entropies_NT >= least) & mask_NT.bool()).to(mask_NT.dtype)


@torch.no_grad()
def covariances(logps_NT: Tensor, advantages_NT: Tensor, mask_NT: Tensor) -> Tensor:
    """(N, T) (A - mean A)(logp - mean logp) over the tokens that count, minus infinity elsewhere."""
    counts = mask_NT.bool()
    if not counts.any():
        return torch.full_like(logps_NT, -torch.inf)
    from_mean = [each - each[counts].mean() for each in (advantages_NT, logps_NT)]
    return (from_mean[0] * from_mean[1]).masked_fill(~counts, -torch.inf)


@torch.no_grad()
def clip_cov(covariances_NT: Tensor, free_NT: Tensor, share: float, chance: torch.Generator) -> Tensor:
    """(N, T) 0 for a few random tokens of those with a covariance in 1..5 that are `free`, else 1.

    A few are the share of all tokens that count, at least one.
    """
    keep_NT = torch.ones_like(covariances_NT)
    few = _few(covariances_NT, share)
    within = (covariances_NT > CLIP_COV[0]) & (covariances_NT < CLIP_COV[1]) & free_NT
    places = within.flatten().nonzero().squeeze(1)
    chosen = places[torch.randperm(len(places), generator=chance)[:few]]
    keep_NT.view(-1)[chosen] = 0.0
    return keep_NT


@torch.no_grad()
def kl_cov(covariances_NT: Tensor, share: float) -> Tensor:
    """(N, T) 1 for the share of the tokens with the largest covariance, at least one token, else 0."""
    chosen_NT = torch.zeros_like(covariances_NT)
    if torch.isfinite(covariances_NT).any():
        chosen_NT.view(-1)[covariances_NT.flatten().topk(_few(covariances_NT, share)).indices] = 1.0
    return chosen_NT


def _few(covariances_NT: Tensor, share: float) -> int:
    return max(1, int(share * int(torch.isfinite(covariances_NT).sum())))
