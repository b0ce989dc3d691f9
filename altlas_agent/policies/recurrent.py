"""A GRU over the derivation that attends to the words of the description, from random weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from altlas_agent.policies.base import Policy, Prompts, Writing
from altlas_agent.policies.parts.attention import HIDDEN, Places, hiding

if TYPE_CHECKING:
    from altlas_agent.settings.policies import RecurrentPolicy


class Texts(NamedTuple):
    """What it knows of each prompt: the state to begin with, its words, and which of them are padding."""

    hidden_PH: Tensor
    memory_PWH: Tensor
    padding_PW: Tensor


class Recurrent(Policy):
    """Words -> bidirectional GRU -> memory; (previous token, hole) -> GRU -> attention -> logits.

    `num_tokens` is V; the token before the first one has the number V. Biases and the output layer
    start at zero, so the first policy is uniform over what the grammar allows.
    """

    def __init__(self, settings: RecurrentPolicy, num_tokens: int, num_holes: int) -> None:
        super().__init__()
        width, hidden = settings.embedding, settings.hidden
        self.words = nn.Embedding(settings.buckets, width, padding_idx=0)
        self.reader = nn.GRU(width, hidden, batch_first=True, bidirectional=True)
        self.memory = nn.Linear(2 * hidden, hidden)
        self.start = nn.Linear(2 * hidden, hidden)
        self.tokens = nn.Embedding(num_tokens + 1, width)
        self.holes = nn.Embedding(num_holes, width)
        self.writer = nn.GRU(2 * width, hidden, num_layers=settings.layers, batch_first=True)
        self.query = nn.Linear(hidden, hidden, bias=False)
        self.mix = nn.Linear(2 * hidden, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Linear(hidden, num_tokens)
        self.scale = 1.0 / math.sqrt(hidden)
        self._initialise(settings.initial_scale)

    def _initialise(self, scale: float) -> None:
        for name, weight in self.named_parameters():
            if "norm" in name:
                continue
            if weight.dim() > 1 and not name.startswith("head"):
                nn.init.xavier_uniform_(weight, gain=scale)
            else:
                nn.init.zeros_(weight)

    def begin(self, prompts: Prompts, longest: int) -> RecurrentWriting:
        return RecurrentWriting(self, prompts)

    def sequence(self, prompts: Prompts, previous_BT: Tensor, holes_BT: Tensor) -> Tensor:
        texts, rows_B = self.read(prompts), prompts.rows_B
        inputs_BT2E = torch.cat((self.tokens(previous_BT), self.holes(holes_BT)), dim=-1)
        hidden_LBH = texts.hidden_PH[rows_B].unsqueeze(0).repeat(self.writer.num_layers, 1, 1)
        states_BTH, _ = self.writer(inputs_BT2E, hidden_LBH)
        memory_BWH, padding_B1W = texts.memory_PWH[rows_B], texts.padding_PW[rows_B].unsqueeze(1)
        scores_BTW = self.query(states_BTH) @ memory_BWH.transpose(1, 2) * self.scale
        seen_BTH = scores_BTW.masked_fill(padding_B1W, HIDDEN).softmax(-1) @ memory_BWH
        mixed_BTH = torch.tanh(self.mix(torch.cat((states_BTH, seen_BTH), dim=-1)))
        logits_BTV: Tensor = self.head(self.norm(mixed_BTH + states_BTH))
        return logits_BTV

    def features(self) -> dict[str, str]:
        width, layers = self.writer.hidden_size, self.writer.num_layers
        return {
            "kind": "recurrent",
            "width": str(width),
            "layers": str(layers),
            "cross attention": "1 head, description",
            "self attention": "off",
            "reader": "bidirectional GRU",
        }

    def read(self, prompts: Prompts) -> Texts:
        """What is known of every prompt before a program is begun."""
        padding_PW = prompts.words_PW == 0
        read_PWH = self._words_read(prompts.words_PW, padding_PW)
        weights_PW1 = (~padding_PW).unsqueeze(-1).to(read_PWH.dtype)
        mean_PH = (read_PWH * weights_PW1).sum(1) / weights_PW1.sum(1).clamp(min=1.0)
        return Texts(torch.tanh(self.start(mean_PH)), self.memory(read_PWH), padding_PW)

    def _words_read(self, words_PW: Tensor, padding_PW: Tensor) -> Tensor:
        """(P, W, 2 H): backwards, too, every description begins with a word of its own and not with padding."""
        lengths_P = (~padding_PW).sum(1)
        packed = pack_padded_sequence(self.words(words_PW), lengths_P, batch_first=True, enforce_sorted=False)
        read_PWH, _ = pad_packed_sequence(
            self.reader(packed)[0], batch_first=True, total_length=words_PW.shape[1]
        )
        return read_PWH


class RecurrentWriting(Writing):
    """The states of the programs, and the weights folded for stepping: they are those of the moment it began.

    Tables hold what a token and a hole bring to the gates of the first layer, and the words of a prompt are
    multiplied once by what every step would multiply its own state with.
    """

    def __init__(self, policy: Recurrent, prompts: Prompts) -> None:
        self._policy = policy
        texts = policy.read(prompts)
        self._hidden_LBH = [texts.hidden_PH[prompts.rows_B] for _ in range(policy.writer.num_layers)]
        self._layers = [_Gates.of(policy.writer, layer) for layer in range(policy.writer.num_layers)]
        inward_E3, bias_3 = self._layers[0].inward_I3, self._layers[0].inward_bias_3
        width = policy.tokens.embedding_dim
        self._tokens_V3 = policy.tokens.weight @ inward_E3[:width] + bias_3
        self._holes_V3 = policy.holes.weight @ inward_E3[width:]
        size, mix_2HH = policy.writer.hidden_size, policy.mix.weight.t()
        self._mix_HH = mix_2HH[:size].contiguous()
        self._keys_PHW = (texts.memory_PWH @ policy.query.weight * policy.scale).transpose(1, 2).contiguous()
        self._values_PWH = texts.memory_PWH @ mix_2HH[size:]
        self._hidden_P1W = hiding(texts.padding_PW).unsqueeze(1)
        self._rows_B = prompts.rows_B
        self._places = Places.of(self._rows_B, len(prompts.words_PW))

    def step(self, previous_B: Tensor, holes_B: Tensor) -> Tensor:
        policy = self._policy
        gates_B3 = self._tokens_V3.index_select(0, previous_B).add_(self._holes_V3.index_select(0, holes_B))
        states_BH = self._stepped(0, gates_B3)
        for layer, gates in enumerate(self._layers[1:], 1):
            states_BH = self._stepped(layer, torch.addmm(gates.inward_bias_3, states_BH, gates.inward_I3))
        mixed_BH = torch.addmm(policy.mix.bias, states_BH, self._mix_HH).add_(self._seen(states_BH)).tanh_()
        logits_BV: Tensor = policy.head(policy.norm(mixed_BH.add_(states_BH)))
        return logits_BV

    def keep(self, rows_K: Tensor) -> None:
        self._hidden_LBH = [each[rows_K] for each in self._hidden_LBH]
        self._rows_B = self._rows_B[rows_K]
        self._places = Places.of(self._rows_B, self._places.prompts)

    def _stepped(self, layer: int, gates_B3: Tensor) -> Tensor:
        """The state of a layer after a step, from what its input brings to the gates."""
        hidden_BH, gates = self._hidden_LBH[layer], self._layers[layer]
        onward_B3 = torch.addmm(gates.onward_bias_3, hidden_BH, gates.onward_H3)
        size = hidden_BH.shape[1]
        reset_BH, kept_BH = (gates_B3[:, : 2 * size] + onward_B3[:, : 2 * size]).sigmoid_().chunk(2, 1)
        new_BH = torch.addcmul(gates_B3[:, 2 * size :], reset_BH, onward_B3[:, 2 * size :]).tanh_()
        self._hidden_LBH[layer] = torch.lerp(new_BH, hidden_BH, kept_BH)
        return self._hidden_LBH[layer]

    def _seen(self, states_BH: Tensor) -> Tensor:
        """(B, H): the words, weighted by what the programs look for."""
        places_B, prompts, most = self._places
        spread_PGH = states_BH.new_zeros(prompts * most, states_BH.shape[1])
        spread_PGH = spread_PGH.index_copy_(0, places_B, states_BH).view(prompts, most, -1)
        weights_PGW = torch.baddbmm(self._hidden_P1W, spread_PGH, self._keys_PHW).softmax(-1)
        return (weights_PGW @ self._values_PWH).flatten(0, 1).index_select(0, places_B)


class _Gates(NamedTuple):
    """One layer as a step multiplies: I wide going in, H wide going on, to its three gates, in torch's order."""

    inward_I3: Tensor
    onward_H3: Tensor
    inward_bias_3: Tensor
    onward_bias_3: Tensor

    @classmethod
    def of(cls, writer: nn.GRU, layer: int) -> _Gates:
        inward, onward, *biases = (
            writer.get_parameter(f"{name}_l{layer}")
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        return cls(inward.t().contiguous(), onward.t().contiguous(), *biases)
