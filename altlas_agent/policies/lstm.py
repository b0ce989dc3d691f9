"""An LSTM over the derivation that attends to its own states and to the texts of the prompt.

    (token + hole + place) -> LSTM layers -> own states -> words -> norm -> logits

Each arrow but the first goes round its part by a residual connection, and each part can be left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from altlas_agent.policies.base import Policy, Prompts, Writing
from altlas_agent.policies.parts.attention import CrossAttention, Places, SelfAttention, Texts
from altlas_agent.policies.parts.blocks import Around
from altlas_agent.policies.parts.initial import initialise
from altlas_agent.policies.parts.kv_cache import CacheSize, KVCache
from altlas_agent.policies.parts.outline import outline, refuse_longer
from altlas_agent.policies.parts.positions import Positions
from altlas_agent.policies.parts.reader import Reader

if TYPE_CHECKING:
    from altlas_agent.settings.policies import LstmPolicy


class Lstm(Policy):
    """`num_tokens` is V; the token before the first one has the number V. The output layer starts at zero, so the
    first policy is uniform over what the grammar allows.
    """

    def __init__(self, settings: LstmPolicy, num_tokens: int, num_holes: int) -> None:
        super().__init__()
        width, layers, heads = settings.shape
        self.settings = settings
        self.reader = Reader(settings.buckets, width, heads)
        self.start = nn.Linear(width, width)
        self.tokens = nn.Embedding(num_tokens + 1, width)
        self.holes = nn.Embedding(num_holes, width)
        self.positions = Positions(settings.positions, settings.window, width)
        self.layers = nn.ModuleList(nn.LSTM(width, width, batch_first=True) for _ in range(layers))
        self.around = nn.ModuleList(self._around() if place else nn.Identity() for place in range(layers))
        self.own = SelfAttention(width, heads) if settings.self_attention else None
        self.read = CrossAttention(width, heads) if settings.cross_attention else None
        self.around_own, self.around_read = self._around(), self._around()
        self.norm = nn.LayerNorm(width) if settings.layer_norm else nn.Identity()
        self.head = nn.Linear(width, num_tokens)
        initialise(self, settings.initial, settings.initial_scale)
        nn.init.zeros_(self.head.weight)

    def _around(self) -> Around:
        settings = self.settings
        return Around(settings.shape.width, residual=settings.residual, layer_norm=settings.layer_norm)

    def begin(self, prompts: Prompts, longest: int) -> LstmWriting:
        refuse_longer(longest, self.settings)
        return LstmWriting(self, prompts, longest)

    def sequence(self, prompts: Prompts, previous_BT: Tensor, holes_BT: Tensor) -> Tensor:
        refuse_longer(previous_BT.shape[1], self.settings)
        texts = self.reader(prompts)
        hidden_1BH = self.first_state(texts).unsqueeze(0)
        x_BTH = self.tokens(previous_BT) + self.holes(holes_BT) + self.positions(0, previous_BT.shape[1])
        for layer, around in zip(self.layers, self.around, strict=True):

            def recur(x: Tensor, layer: nn.Module = layer) -> Tensor:
                states: Tensor = layer(x, (hidden_1BH, torch.zeros_like(hidden_1BH)))[0]
                return states

            x_BTH = around.wrap(x_BTH, recur) if isinstance(around, Around) else recur(x_BTH)
        if self.own is not None:
            x_BTH = self.around_own.wrap(x_BTH, self.own)
        if self.read is not None:
            read = self.read
            x_BTH = self.around_read.wrap(x_BTH, lambda x: read(x, texts))
        logits_BTV: Tensor = self.head(self.norm(x_BTH))
        return logits_BTV

    def first_state(self, texts: Texts) -> Tensor:
        """(B, H): what the mean of the words begins with."""
        return torch.tanh(self.start(texts.mean_PH))[texts.rows_B]

    def features(self) -> dict[str, str]:
        return outline(self.settings)


class GateWeights(NamedTuple):
    """What torch keeps of one layer; G = 4 H, gates in its order, and both its biases as one."""

    inward_GH: Tensor
    onward_GH: Tensor
    bias_G: Tensor

    @classmethod
    def of(cls, layer: nn.Module) -> GateWeights:
        inward, onward, *biases = (
            layer.get_parameter(f"{name}_l0") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return cls(inward, onward, biases[0] + biases[1])


class _Folded(NamedTuple):
    """The weights of one layer as a step uses them: what goes in, side by side, times one matrix."""

    weights_IG: Tensor
    bias_G: Tensor


class LstmWriting(Writing):
    """States of the layers, and the weights folded for stepping: they are those of the moment it began."""

    def __init__(self, policy: Lstm, prompts: Prompts, longest: int) -> None:
        self._policy = policy
        texts: Texts = policy.reader(prompts)
        hidden_BH = policy.first_state(texts)
        self._hidden_LBH = [hidden_BH for _ in policy.layers]
        self._cells_LBH = [torch.zeros_like(hidden_BH) for _ in policy.layers]
        self._fold(longest)
        width, _, heads = policy.settings.shape
        size = CacheSize(1, len(hidden_BH), longest, heads, width // heads)
        self._cache = KVCache(size) if policy.own is not None else None
        self._memory = policy.read.remember(texts) if policy.read is not None else None
        self._rows_B, self._prompts = prompts.rows_B, len(prompts.words_PW)
        self._places = Places.of(self._rows_B, self._prompts)
        self._steps = 0

    def _fold(self, longest: int) -> None:
        """Tables of what a token, a hole and a place bring to the gates of the first layer; joined weights above it."""
        policy = self._policy
        layers = [GateWeights.of(layer) for layer in policy.layers]
        first = layers[0]
        self._tokens_VG = policy.tokens.weight @ first.inward_GH.t() + first.bias_G
        self._holes_VG = policy.holes.weight @ first.inward_GH.t()
        places = policy.positions(0, longest)
        self._places_TG = places @ first.inward_GH.t() if isinstance(places, Tensor) else None
        self._first = _Folded(first.onward_GH.t().contiguous(), first.bias_G)
        self._above = [
            _Folded(torch.cat((layer.inward_GH, layer.onward_GH), 1).t().contiguous(), layer.bias_G)
            for layer in layers[1:]
        ]

    def step(self, previous_B: Tensor, holes_B: Tensor) -> Tensor:
        policy = self._policy
        holes_VG = self._holes_VG
        if self._places_TG is not None:
            holes_VG = holes_VG + self._places_TG[self._steps]
        gates_BG = self._tokens_VG.index_select(0, previous_B).add_(holes_VG.index_select(0, holes_B))
        x_BH = self._gated(0, torch.addmm(gates_BG, self._hidden_LBH[0], self._first.weights_IG))
        for layer, folded in enumerate(self._above, 1):
            x_BH = self._layer(layer, folded, x_BH)
        x_BH = self._attend(x_BH)
        self._steps += 1
        logits_BV: Tensor = policy.head(policy.norm(x_BH))
        return logits_BV

    def keep(self, rows_K: Tensor) -> None:
        self._hidden_LBH = [each[rows_K] for each in self._hidden_LBH]
        self._cells_LBH = [each[rows_K] for each in self._cells_LBH]
        self._rows_B = self._rows_B[rows_K]
        self._places = Places.of(self._rows_B, self._prompts)
        if self._cache is not None:
            self._cache.keep(rows_K)

    def _layer(self, layer: int, folded: _Folded, x_BH: Tensor) -> Tensor:
        around = self._policy.around[layer]

        def recur(x: Tensor) -> Tensor:
            joined_BI = torch.cat((x, self._hidden_LBH[layer]), 1)
            return self._gated(layer, torch.addmm(folded.bias_G, joined_BI, folded.weights_IG))

        return around.wrap(x_BH, recur) if isinstance(around, Around) else recur(x_BH)

    def _gated(self, layer: int, gates_BG: Tensor) -> Tensor:
        """The state after a step, from what goes into the gates."""
        taken, kept, new, shown = gates_BG.chunk(4, 1)
        cells_BH = self._cells_LBH[layer] * kept.sigmoid_()
        cells_BH.addcmul_(taken.sigmoid_(), new.tanh_())
        self._cells_LBH[layer] = cells_BH
        self._hidden_LBH[layer] = cells_BH.tanh().mul_(shown.sigmoid_())
        return self._hidden_LBH[layer]

    def _attend(self, x_BH: Tensor) -> Tensor:
        policy, cache, memory = self._policy, self._cache, self._memory
        if policy.own is not None and cache is not None:
            own = policy.own
            x_BH = policy.around_own.wrap(x_BH, lambda x: own.step(x, cache, 0))
            cache.stepped()
        if policy.read is not None and memory is not None:
            read = policy.read
            x_BH = policy.around_read.wrap(x_BH, lambda x: read.step(x, memory, self._places))
        return x_BH
