"""Reads the texts of a prompt: word vectors with their places and kinds, one layer of attention among them.

Shapes: P prompts, W words, H width. All kinds of text of a prompt lie side by side without a gap, so one that is
empty takes no room and no time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from altlas_agent.policies.base import SOURCES
from altlas_agent.policies.parts.attention import Texts, hiding, split
from altlas_agent.policies.parts.blocks import Around, FeedForward, Stacked
from altlas_agent.policies.parts.positions import sinusoidal

if TYPE_CHECKING:
    from altlas_agent.policies.base import Prompts

_WAVES = 0.5


class Reader(nn.Module):
    """Words see each other in both directions; their places are waves, whatever the programs have."""

    def __init__(self, buckets: int, width: int, heads: int) -> None:
        super().__init__()
        self._width, self._heads = width, heads
        self.words = nn.Embedding(buckets, width, padding_idx=0)
        self.sources = nn.Embedding(len(SOURCES), width)
        self.inward = Stacked(width, 3)
        self.outward = nn.Linear(width, width)
        self.feed = FeedForward(width)
        self.before_attention = Around(width, residual=True, layer_norm=True)
        self.before_feed = Around(width, residual=True, layer_norm=True)
        self.norm = nn.LayerNorm(width)

    def forward(self, prompts: Prompts) -> Texts:
        """The texts as vectors."""
        padding_PW = prompts.words_PW == 0
        hidden_PW = hiding(padding_PW)
        x_PWH = self.words(prompts.words_PW) + self.sources(prompts.sources_PW)
        x_PWH = x_PWH + _WAVES * _waves(x_PWH.shape[1], self._width)
        x_PWH = self.before_attention.wrap(x_PWH, lambda x: self._attend(x, hidden_PW))
        words_PWH: Tensor = self.norm(self.before_feed.wrap(x_PWH, self.feed))
        weights_PW1 = (~padding_PW).unsqueeze(-1).to(words_PWH.dtype)
        mean_PH = (words_PWH * weights_PW1).sum(1) / weights_PW1.sum(1).clamp(min=1.0)
        return Texts(words_PWH, hidden_PW, mean_PH, prompts.rows_B)

    def _attend(self, x_PWH: Tensor, hidden_PW: Tensor) -> Tensor:
        queries, keys, values = (
            split(each, self._heads).transpose(1, 2) for each in self.inward(x_PWH).chunk(3, -1)
        )
        seen_PNWD = scaled_dot_product_attention(queries, keys, values, attn_mask=hidden_PW[:, None, None])
        made_PWH: Tensor = self.outward(seen_PNWD.transpose(1, 2).flatten(2))
        return made_PWH


def _waves(words: int, width: int) -> Tensor:
    """(W, H), also for an odd width."""
    return sinusoidal(words, width + width % 2)[:, :width] if words else torch.zeros(0, width)
