"""A GRU over the derivation that attends to the words of the description, from random weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from altlas_agent.policies.base import Policy, Prompts, Writing

if TYPE_CHECKING:
    from altlas_agent.settings.policies import RecurrentPolicy


class State(NamedTuple):
    """What it knows of each program: its own state, the words of its description, and which are padding."""

    hidden_LBH: Tensor
    memory_BWH: Tensor
    padding_BW: Tensor


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
        self._scale = 1.0 / math.sqrt(hidden)
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
        return RecurrentWriting(self, self._read(prompts))

    def sequence(self, prompts: Prompts, previous_BT: Tensor, holes_BT: Tensor) -> Tensor:
        state = self._read(prompts)
        states_BTH, _ = self.writer(self._inputs(previous_BT, holes_BT), state.hidden_LBH)
        return self._logits(states_BTH, state)

    def advance(self, state: State, previous_B: Tensor, holes_B: Tensor) -> tuple[Tensor, State]:
        """One step: logits (B, V) and what is known after it."""
        inputs_B1 = self._inputs(previous_B.unsqueeze(1), holes_B.unsqueeze(1))
        states_B1H, hidden_LBH = self.writer(inputs_B1, state.hidden_LBH)
        return self._logits(states_B1H, state).squeeze(1), state._replace(hidden_LBH=hidden_LBH)

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

    def _read(self, prompts: Prompts) -> State:
        padding_PW = prompts.words_PW == 0
        read_PWH = self._words_read(prompts.words_PW, padding_PW)
        weights_PW1 = (~padding_PW).unsqueeze(-1).to(read_PWH.dtype)
        mean_PH = (read_PWH * weights_PW1).sum(1) / weights_PW1.sum(1).clamp(min=1.0)
        hidden_PH = torch.tanh(self.start(mean_PH))
        rows = prompts.rows_B
        hidden_LBH = hidden_PH[rows].unsqueeze(0).repeat(self.writer.num_layers, 1, 1)
        return State(hidden_LBH, self.memory(read_PWH)[rows], padding_PW[rows])

    def _words_read(self, words_PW: Tensor, padding_PW: Tensor) -> Tensor:
        """(P, W, 2 H): backwards, too, every description begins with a word of its own and not with padding."""
        lengths_P = (~padding_PW).sum(1)
        packed = pack_padded_sequence(self.words(words_PW), lengths_P, batch_first=True, enforce_sorted=False)
        read_PWH, _ = pad_packed_sequence(
            self.reader(packed)[0], batch_first=True, total_length=words_PW.shape[1]
        )
        return read_PWH

    def _inputs(self, previous_BT: Tensor, holes_BT: Tensor) -> Tensor:
        return torch.cat((self.tokens(previous_BT), self.holes(holes_BT)), dim=-1)

    def _logits(self, states_BTH: Tensor, state: State) -> Tensor:
        scores_BTW = self.query(states_BTH) @ state.memory_BWH.transpose(1, 2) * self._scale
        scores_BTW = scores_BTW.masked_fill(state.padding_BW.unsqueeze(1), -1e9)
        seen_BTH = scores_BTW.softmax(-1) @ state.memory_BWH
        mixed_BTH = torch.tanh(self.mix(torch.cat((states_BTH, seen_BTH), dim=-1)))
        logits_BTV: Tensor = self.head(self.norm(mixed_BTH + states_BTH))
        return logits_BTV


class RecurrentWriting(Writing):
    """The states of the programs."""

    def __init__(self, policy: Recurrent, state: State) -> None:
        self._policy = policy
        self._state = state

    def step(self, previous_B: Tensor, holes_B: Tensor) -> Tensor:
        logits_BV, self._state = self._policy.advance(self._state, previous_B, holes_B)
        return logits_BV

    def keep(self, rows_K: Tensor) -> None:
        state = self._state
        self._state = State(state.hidden_LBH[:, rows_K], state.memory_BWH[rows_K], state.padding_BW[rows_K])
