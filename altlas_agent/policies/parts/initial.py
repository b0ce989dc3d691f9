"""How weights are drawn before anything is learned, by name.

    name        variance of a matrix (out, in), for scale 1
    xavier      2 / (in + out)      Glorot & Bengio 2010, uniform
    kaiming     2 / in              He et al. 2015, normal
    orthogonal  1 / max(in, out)    Saxe et al. 2013: rows or columns at right angles, of length 1

Matrices that stand for several (the gates of an LSTM, the queries, keys and values of an attention) are drawn
one by one. Biases start at zero, but for the forget gates of an LSTM, which start open (Jozefowicz et al. 2015).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

from torch import nn

from altlas_agent.policies.parts.blocks import Stacked

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Initial = Literal["xavier", "kaiming", "orthogonal"]
GATES = 4
"""Of an LSTM, in torch's order: input, forget, cell, output."""


def _kaiming(weight: Tensor, scale: float) -> None:
    nn.init.normal_(weight, std=scale * math.sqrt(2.0 / weight.shape[1]))


DRAWS: dict[Initial, Callable[[Tensor, float], object]] = {
    "xavier": nn.init.xavier_uniform_,
    "kaiming": _kaiming,
    "orthogonal": nn.init.orthogonal_,
}


def initialise(network: nn.Module, kind: Initial, scale: float) -> None:
    """Draw every weight of a network from torch's global generator.

    Embeddings have variance scale^2 / 4, so that three of them add up to a spread near 1. Norms are left alone.
    """
    for module in network.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.5 * scale)
            if module.padding_idx is not None:
                module.weight.data[module.padding_idx].zero_()
        elif isinstance(module, nn.Linear):
            draw(module.weight, kind, scale, blocks=module.blocks if isinstance(module, Stacked) else 1)
            if module.bias is not None:  # pyright: ignore[reportUnnecessaryComparison] - torch says it is never None
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LSTM):
            _draw_gates(module, kind, scale)


def draw(weight: Tensor, kind: Initial, scale: float, *, blocks: int = 1) -> None:
    """Fill `blocks` matrices that lie on top of each other in one."""
    for block in weight.data.chunk(blocks):
        DRAWS[kind](block, scale)


def _draw_gates(module: nn.LSTM, kind: Initial, scale: float) -> None:
    for name, weight in module.named_parameters():
        if weight.dim() > 1:
            draw(weight, kind, scale, blocks=GATES)
        else:
            nn.init.zeros_(weight)
            if name.startswith("bias_ih"):
                weight.data.chunk(GATES)[1].fill_(1.0)
