"""The sets of tokens that grammars offer, as masks over logits: made once, and thrown away when there are too many.

Every shape of task brings sets of its own, so a long run over many tasks would fill the memory with them. When
there is no room for another one all of them are forgotten: those that are still used are made again, at a few
microseconds each, which costs less than to keep account of which set was used last.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from altlas_agent.languages.tokens.grammar import Choice

FORBIDDEN = -1e9
"""Added to a logit that no softmax is to survive."""
MAX_SETS = 8192
"""About 3 MB. A single batch that needs more gets them."""
MAX_CHOICES = 65_536


class Masks:
    """(M, V): the masks of the sets that were offered lately. It grows by doubling."""

    def __init__(self, most: int = MAX_SETS) -> None:
        self._most = most
        self._rows: dict[Choice, int] = {}
        self._sets: dict[frozenset[int], int] = {}
        self._table_MV = np.empty((0, len(vocabulary())), dtype=np.float32)

    def __len__(self) -> int:
        """How many sets there are."""
        return len(self._sets)

    def of(self, choices: Sequence[Choice]) -> NDArray[np.float32]:
        """(N, V) with 0 for allowed tokens and FORBIDDEN for the others."""
        rows = self._rows
        try:
            return self._table_MV[[rows[choice] for choice in choices]]
        except KeyError:
            self._learn(choices)
        return self._table_MV[[rows[choice] for choice in choices]]

    def _learn(self, choices: Sequence[Choice]) -> None:
        missing = [choice for choice in dict.fromkeys(choices) if choice not in self._rows]
        if len(self._sets) + len(missing) > self._most or len(self._rows) + len(missing) > MAX_CHOICES:
            self._rows.clear()
            self._sets.clear()
            self._table_MV = self._table_MV[:0]
            missing = list(dict.fromkeys(choices))
        for choice in missing:
            allowed = frozenset(choice.options)
            self._rows[choice] = self._sets.setdefault(allowed, len(self._sets))
            if len(self._sets) > len(self._table_MV):
                self._grow()
            self._table_MV[self._sets[allowed], list(allowed)] = 0.0

    def _grow(self) -> None:
        rows = len(self._table_MV)
        grown = np.full((max(2 * rows, 64), len(vocabulary())), FORBIDDEN, dtype=np.float32)
        grown[:rows] = self._table_MV
        self._table_MV = grown


@cache
def _masks() -> Masks:
    return Masks()


def masks_of(choices: Sequence[Choice]) -> NDArray[np.float32]:
    """(N, V) masks of what may come next at these places: 0, or FORBIDDEN."""
    return _masks().of(choices)
