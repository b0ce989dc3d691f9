"""Multi-head attention: to the tokens before (causal), and to the words of texts.

Shapes: B programs, P prompts, T steps, W words, N heads, D width of a head, H = N D. Each kind answers for a
whole sequence and for one step, and the two agree but for rounding.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from altlas_agent.policies.parts.blocks import Stacked

if TYPE_CHECKING:
    from altlas_agent.policies.parts.kv_cache import KVCache

HIDDEN = -1e9
"""What is added to the scores of words that are not there. Finite: a row of infinities would be NaN."""


def split(x: Tensor, heads: int) -> Tensor:
    """(..., H) to (..., N, D)."""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads)


class SelfAttention(nn.Module):
    """Every token sees itself and the ones before it (Vaswani et al. 2017)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inward = Stacked(width, 3)
        self.outward = nn.Linear(width, width)
        self._scale = 1.0 / math.sqrt(width // heads)

    def forward(self, x_BTH: Tensor) -> Tensor:
        """(B, T, H) of a whole sequence."""
        queries, keys, values = (
            split(each, self.heads).transpose(1, 2) for each in self.inward(x_BTH).chunk(3, -1)
        )
        seen_BNTD = scaled_dot_product_attention(queries, keys, values, is_causal=True)
        made_BTH: Tensor = self.outward(seen_BNTD.transpose(1, 2).flatten(2))
        return made_BTH

    def step(self, x_BH: Tensor, cache: KVCache, layer: int) -> Tensor:
        """(B, H) of the next token, whose keys and values go into the cache."""
        queries, keys, values = (split(each, self.heads) for each in self.inward(x_BH).chunk(3, -1))
        keys_SNTD, values_SNTD = cache.append(layer, keys, values)
        queries_SN1D = cache.spread(queries * self._scale).unsqueeze(2)
        weights_SN1T = (queries_SN1D @ keys_SNTD.transpose(2, 3)).softmax(-1)
        seen_BND = cache.gathered((weights_SN1T @ values_SNTD).squeeze(2))
        made_BH: Tensor = self.outward(seen_BND.flatten(1))
        return made_BH


class Texts(NamedTuple):
    """The words of the prompts as vectors, a bias that hides padding, their mean, and whose prompt is whose."""

    words_PWH: Tensor
    hidden_PW: Tensor
    mean_PH: Tensor
    rows_B: Tensor


class Memory(NamedTuple):
    """Keys and values of the words of every prompt, made once for all steps."""

    keys_PNDW: Tensor
    values_PNWD: Tensor
    hidden_PW: Tensor


class Places(NamedTuple):
    """Where each program stands when those of one prompt stand side by side: `most` of them to a prompt.

    Many programs share a prompt, so its words are read once for all of them and not once for each.
    """

    places_B: Tensor
    prompts: int
    most: int

    @classmethod
    def of(cls, rows_B: Tensor, prompts: int) -> Places:
        """`rows_B` names the prompt of each program."""
        counts_P = torch.bincount(rows_B, minlength=prompts)
        order_B = rows_B.argsort(stable=True)
        firsts_P = counts_P.cumsum(0) - counts_P
        ranks_B = torch.empty_like(rows_B)
        ranks_B[order_B] = torch.arange(len(rows_B)) - firsts_P[rows_B[order_B]]
        most = int(counts_P.max()) if len(rows_B) else 0
        return cls(rows_B * most + ranks_B, prompts, most)


class CrossAttention(nn.Module):
    """Every token sees the words of the texts of its prompt."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.memory = Stacked(width, 2)
        self.outward = nn.Linear(width, width)
        self._scale = 1.0 / math.sqrt(width // heads)

    def forward(self, x_BTH: Tensor, texts: Texts) -> Tensor:
        """(B, T, H) of a whole sequence."""
        queries_BNTD = split(self.query(x_BTH), self.heads).transpose(1, 2)
        memory = self.remember(texts)
        rows_B = texts.rows_B
        scores_BNTW = (queries_BNTD * self._scale) @ memory.keys_PNDW[rows_B]
        weights_BNTW = (scores_BNTW + memory.hidden_PW[rows_B, None, None]).softmax(-1)
        seen_BNTD = weights_BNTW @ memory.values_PNWD[rows_B]
        made_BTH: Tensor = self.outward(seen_BNTD.transpose(1, 2).flatten(2))
        return made_BTH

    def remember(self, texts: Texts) -> Memory:
        """What the steps need of the texts."""
        keys, values = (split(each, self.heads) for each in self.memory(texts.words_PWH).chunk(2, -1))
        return Memory(
            keys.permute(0, 2, 3, 1).contiguous(), values.transpose(1, 2).contiguous(), texts.hidden_PW
        )

    def step(self, x_BH: Tensor, memory: Memory, places: Places) -> Tensor:
        """(B, H) of the next token."""
        queries_BH = self.query(x_BH) * self._scale
        spread_GH = queries_BH.new_zeros(places.prompts * places.most, queries_BH.shape[1])
        spread_GH.index_copy_(0, places.places_B, queries_BH)
        queries_PNGD = split(spread_GH.view(places.prompts, places.most, -1), self.heads).transpose(1, 2)
        scores_PNGW = queries_PNGD @ memory.keys_PNDW + memory.hidden_PW[:, None, None]
        seen_PNGD = scores_PNGW.softmax(-1) @ memory.values_PNWD
        seen_BH = seen_PNGD.transpose(1, 2).flatten(2).flatten(0, 1)[places.places_B]
        made_BH: Tensor = self.outward(seen_BH)
        return made_BH


def hiding(padding_PW: Tensor) -> Tensor:
    """(P, W) to add to scores: padding gets no weight."""
    return torch.zeros(padding_PW.shape).masked_fill(padding_PW, HIDDEN)
