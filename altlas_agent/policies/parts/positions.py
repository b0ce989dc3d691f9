"""Where in a program or a text something stands, as a vector to add. Shapes: T places, H width."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn

Kind = Literal["sinusoidal", "learned", "none"]
_SLOWEST = 10_000.0


def sinusoidal(places: int, width: int) -> Tensor:
    """(T, H): sines in the even columns, cosines in the odd ones, slower to the right (Vaswani et al. 2017)."""
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(_SLOWEST) / width))
    angles = torch.arange(places).unsqueeze(1) * rates
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)


class Positions(nn.Module):
    """A vector for each of `window` places: computed, learned, or none at all. The waves have half their usual height,
    that of an embedding as it starts.
    """

    table: Tensor

    def __init__(self, kind: Kind, window: int, width: int) -> None:
        super().__init__()
        self.kind = kind
        if kind == "learned":
            self.learned = nn.Embedding(window, width)
        elif kind == "sinusoidal":
            self.register_buffer("table", 0.5 * sinusoidal(window, width), persistent=False)

    def forward(self, first: int, count: int) -> Tensor | float:
        """(count, H) of the places from `first`, or 0 where places have no vectors."""
        if self.kind == "none":
            return 0.0
        table_TH = self.learned.weight if self.kind == "learned" else self.table
        return table_TH[first : first + count]
