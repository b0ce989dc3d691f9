"""Drawing weights anew, all of them or those of some layers, whole or in part.

What a policy has learned is given up where it stands in the way: the output layer alone, named layers, or a share
of every weight (shrink and perturb, Ash & Adams 2020, arXiv 1910.08475: each weight becomes a share of itself and
a share of a fresh draw). The optimiser can forget its moments with the weights, or alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from altlas_agent.core.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from altlas_agent.core.requests import ResetWeights
    from altlas_agent.learning.adam import Adam
    from altlas_agent.policies.base import Policy


def reset(policy: Policy, fresh: Policy, optimiser: Adam, request: ResetWeights) -> dict[str, nn.Parameter]:
    """Do what was asked for, and give the weights that were meant; `fresh` is of the same kind, as it is drawn.

    Raises PolicyError for a layer that the policy does not have; then nothing is changed.
    """
    meant = _meant(dict(policy.named_parameters()), request.layers)
    if request.weights:
        drawn = dict(fresh.named_parameters())
        with torch.no_grad():
            for name, weight in meant.items():
                weight.mul_(request.keep).add_(drawn[name], alpha=request.fresh)
    if request.moments:
        optimiser.forget_moments(meant.values())
    return meant


def _meant(weights: dict[str, nn.Parameter], layers: Sequence[str]) -> dict[str, nn.Parameter]:
    if not layers:
        return weights
    for layer in layers:
        if not any(_is_below(name, layer) for name in weights):
            known = ", ".join(dict.fromkeys(name.partition(".")[0] for name in weights))
            raise PolicyError(f"the policy has no layer {layer!r} that could be reset; it has {known}")
    return {name: weight for name, weight in weights.items() if any(_is_below(name, each) for each in layers)}


def _is_below(name: str, layer: str) -> bool:
    return name == layer or name.startswith(f"{layer}.")
