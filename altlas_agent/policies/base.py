"""Policy: next-token logits for a batch of programs being written, step by step or all at once.

Shapes: B programs, P prompts, T steps, V abstract tokens, W words, L layers, H width of the state.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from torch import Tensor, nn

SOURCES = ("description", "hint", "error", "context")
"""The kinds of text of a prompt, by their number: what is asked, a hint, the last error message, earlier code."""


class Prompts(NamedTuple):
    """Texts as hashed words (0 is padding), those of each prompt side by side; `rows_B` names each program's.

    `sources_PW` says of which kind a word is, a number of SOURCES. `cuts` tells what was left out and why.
    """

    words_PW: Tensor
    rows_B: Tensor
    sources_PW: Tensor
    cuts: tuple[str, ...] = ()


class Writing(ABC):
    """Programs being written side by side: all that a policy carries from token to token."""

    @abstractmethod
    def step(self, previous_B: Tensor, holes_B: Tensor) -> Tensor:
        """Logits (B, V) of the next token, given the one before it and the sort of the hole it fills."""

    @abstractmethod
    def keep(self, rows_K: Tensor) -> None:
        """Go on with these of the programs only, in this order; one that is named twice goes on twice."""


class Policy(nn.Module, ABC):
    """A network that writes programs. Its two ways of answering agree: `sequence` is what is trained,
    the steps of `begin` are what is sampled, and their log-probabilities differ by rounding only.
    """

    @abstractmethod
    def begin(self, prompts: Prompts, longest: int) -> Writing:
        """Read the texts; nothing is written yet, and no program will have more than `longest` tokens.

        Called without gradients. Raises PolicyError for programs that are longer than the policy can write.
        """

    @abstractmethod
    def sequence(self, prompts: Prompts, previous_BT: Tensor, holes_BT: Tensor) -> Tensor:
        """Logits (B, T, V) of every token at once, each seeing only what came before it."""

    @abstractmethod
    def features(self) -> dict[str, str]:
        """What the network is made of, for people: name of a part to its size, or to off."""

    @property
    def num_parameters(self) -> int:
        return sum(weight.numel() for weight in self.parameters())
