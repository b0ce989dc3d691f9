"""Programs that are ended early: by what tells that nothing comes of them, and by the cheapest way to an end.

The tokens of that way are not drawn: each is the only one that can come, so its log-probability is 0 for the
sampler and for the learner, and nothing is learned from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from altlas_agent.core.records import Strategy
    from altlas_agent.languages.tokens.grammar import Derivation

LONGEST_PERIOD = 4
"""A repetition is one of at most so many tokens."""
_MEMORY = 0.6
"""How much of the running mean of the indecision is left after a token."""
_PERIODS_Q1 = np.arange(1, LONGEST_PERIOD + 1)[:, None]
ENTROPY, REPETITION = "entropy", "repetition"


class Stopper:
    """Goes along with the programs of a batch. B active programs, Q periods, V tokens."""

    def __init__(self, strategies: Sequence[Strategy]) -> None:
        self._entropy_B = np.array([each.stop_entropy or np.inf for each in strategies])
        self._repeats_B = np.array([each.stop_repeats or np.inf for each in strategies])
        self._least_B = np.array([each.stop_after for each in strategies])
        self._undecided_B = np.zeros(len(strategies))
        self._last_QB = np.full((LONGEST_PERIOD, len(strategies)), -1)
        self._runs_QB = np.zeros((LONGEST_PERIOD, len(strategies)))
        self._by_entropy = any(each.stop_entropy for each in strategies)
        self._by_repeats = any(each.stop_repeats for each in strategies)
        self._steps = 0

    def wrote(self, logps_BV: Tensor, options_B: Sequence[int], tokens_B: Sequence[int]) -> dict[int, str]:
        """The programs that end now, by their row, with the reason. `options_B` is among how many was chosen."""
        self._steps += 1
        found: dict[int, str] = {}
        if self._by_repeats:
            found |= self._due(self._times(np.array(tokens_B)) >= self._repeats_B, REPETITION)
        if self._by_entropy:
            self._look_at_entropy(logps_BV, np.array(options_B))
            found |= self._due(self._undecided_B >= self._entropy_B, ENTROPY)
        return found

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these programs only."""
        self._entropy_B, self._repeats_B = self._entropy_B[rows], self._repeats_B[rows]
        self._least_B, self._undecided_B = self._least_B[rows], self._undecided_B[rows]
        self._last_QB, self._runs_QB = self._last_QB[:, rows], self._runs_QB[:, rows]

    def _due(self, wanted_B: NDArray[np.bool_], reason: str) -> dict[int, str]:
        rows: list[int] = np.flatnonzero(wanted_B & (self._least_B <= self._steps)).tolist()
        return dict.fromkeys(rows, reason)

    def _times(self, tokens_B: NDArray[np.int64]) -> NDArray[np.float64]:
        """(B,) how often in a row the last tokens have come, at most: one period more for each that equals."""
        self._runs_QB = (self._runs_QB + 1) * (self._last_QB == tokens_B)
        self._last_QB = np.concatenate((tokens_B[None], self._last_QB[:-1]))
        times_B: NDArray[np.float64] = 1 + (self._runs_QB // _PERIODS_Q1).max(0)
        return times_B

    def _look_at_entropy(self, logps_BV: Tensor, options_B: NDArray[np.int64]) -> None:
        """A running mean, as a share of the most it can be. Where nothing is to be chosen nothing is learned of it."""
        entropy_B = -logps_BV.exp().mul_(logps_BV).sum(-1).numpy()
        share_B = entropy_B / np.log(np.maximum(options_B, 2))
        moved_B = _MEMORY * self._undecided_B + (1 - _MEMORY) * share_B
        self._undecided_B = np.where(options_B > 1, moved_B, self._undecided_B)


def closing(derivation: Derivation) -> list[int]:
    """Write the cheapest tokens that make the program whole; gives them."""
    found: list[int] = []
    while not derivation.done:
        token = derivation.choice().cheapest
        derivation.advance(token)
        found.append(token)
    return found
