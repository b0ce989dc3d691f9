"""Policy: next-token logits for a batch of programs being written, step by step or all at once.

Shapes: B programs, P descriptions, T steps, V abstract tokens, W words, L layers, H width of the state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn


class Prompts(NamedTuple):
    """Descriptions as hashed words (0 is padding); `rows_B` names the description of each program."""

    words_PW: Tensor
    rows_B: Tensor


class State(NamedTuple):
    """What a policy carries from token to token."""

    hidden_LBH: Tensor
    memory_BWH: Tensor
    padding_BW: Tensor


class Policy(nn.Module, ABC):
    """A network that writes programs. Its two ways of answering agree: `sequence` is what is trained,
    `step` is what is sampled, and their log-probabilities differ by rounding only.
    """

    @abstractmethod
    def begin(self, prompts: Prompts) -> State:
        """Read the descriptions; nothing is written yet."""

    @abstractmethod
    def step(self, state: State, previous_B: Tensor, holes_B: Tensor) -> tuple[Tensor, State]:
        """Logits (B, V) of the next token, given the one before it and the sort of the hole it fills."""

    @abstractmethod
    def sequence(self, prompts: Prompts, previous_BT: Tensor, holes_BT: Tensor) -> Tensor:
        """Logits (B, T, V) of every token at once, each seeing only what came before it."""

    @property
    def num_parameters(self) -> int:
        return sum(weight.numel() for weight in self.parameters())
