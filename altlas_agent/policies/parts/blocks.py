"""A part as it stands in a stack: normed before, added to what goes by. Shapes: (..., H)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.nn.functional import gelu

if TYPE_CHECKING:
    from collections.abc import Callable

GROWTH = 4
"""How much wider a feed-forward part is inside."""


class Around(nn.Module):
    """Layer norm before a part and a residual connection past it, each where it is wanted."""

    def __init__(self, width: int, *, residual: bool, layer_norm: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width) if layer_norm else nn.Identity()
        self.residual = residual

    def wrap(self, x: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        """part(norm(x)), and x to it."""
        made = part(self.norm(x))
        return x + made if self.residual else made


class Stacked(nn.Linear):
    """Several square layers on top of each other, applied as one: queries, keys and values, say."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__(width, blocks * width)  # pyright: ignore[reportUnknownMemberType] - torch leaves it untyped
        self.blocks = blocks


class FeedForward(nn.Module):
    """Every place on its own: wider, bent, and back."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.widen = nn.Linear(width, GROWTH * width)
        self.narrow = nn.Linear(GROWTH * width, width)

    def forward(self, x: Tensor) -> Tensor:
        narrowed: Tensor = self.narrow(gelu(self.widen(x), approximate="tanh"))
        return narrowed
