"""One step of many programs: each is shaped by its own strategy, all at once.

B active programs, V tokens, T steps, P bytes of a packed set. A part that no strategy asks for costs nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from altlas_agent.generation.masks import FORBIDDEN
from altlas_agent.generation.shaping.logits import Cuts, kept, moving, pack
from altlas_agent.generation.shaping.noise import noise
from altlas_agent.policies.tensors import from_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from altlas_agent.core.records import Conditions


class Shaper:
    """Goes along with the programs of a batch. `pushes_BV` is what their conditions add to the logits."""

    def __init__(self, conditions: Sequence[Conditions], pushes_BV: Tensor, longest: int) -> None:
        strategies = [each.strategy for each in conditions]
        width = pushes_BV.shape[1]
        self._heat_B1 = torch.tensor([[each.temperature] for each in strategies])
        self._heated_BV = pushes_BV / self._heat_B1
        self._repetition_B1 = _column([each.repetition for each in strategies])
        self._spread_B1 = _column([each.noise for each in strategies])
        self._counts_BV = (
            np.zeros((len(strategies), width), dtype=np.float32) if self._repetition_B1.any() else None
        )
        self._seeds_B = (
            np.array([each.seed for each in conditions], dtype=np.uint64) if self._spread_B1.any() else None
        )
        self._cuts = Cuts.of(strategies, width) if any(each.cuts for each in strategies) else None
        self._kept_BTP = np.zeros(
            (len(strategies) if self._cuts else 0, longest, -(-width // 8)), dtype=np.uint8
        )
        self._places_B = np.arange(len(strategies))
        self._steps = 0

    def shaped(self, logits_BV: Tensor, masks_BV: NDArray[np.float32]) -> Tensor:
        """The logits of what the next tokens are drawn from. The logits that are given are used up."""
        shaped_BV = logits_BV.div_(self._heat_B1).add_(self._heated_BV)
        if self._counts_BV is not None or self._seeds_B is not None:
            moved_BV = moving(self._counts_BV, self._noise(), self._repetition_B1, self._spread_B1)
            shaped_BV.add_(from_array(moved_BV / self._heat_B1.numpy()))
        shaped_BV.add_(from_array(masks_BV))
        if self._cuts is not None:
            chances_BV: NDArray[np.float32] = shaped_BV.softmax(-1).numpy()
            kept_BV = kept(chances_BV, masks_BV == 0, self._cuts)
            self._kept_BTP[self._places_B, self._steps] = pack(kept_BV)
            shaped_BV.masked_fill_(from_array(~kept_BV), FORBIDDEN)
        return shaped_BV

    def wrote(self, tokens_B: Sequence[int]) -> None:
        """These tokens were drawn."""
        if self._counts_BV is not None:
            self._counts_BV[np.arange(len(tokens_B)), tokens_B] += 1
        self._steps += 1

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these programs only."""
        rows_K = torch.tensor(rows, dtype=torch.long)
        self._heat_B1, self._heated_BV = self._heat_B1[rows_K], self._heated_BV[rows_K]
        self._repetition_B1, self._spread_B1 = self._repetition_B1[rows], self._spread_B1[rows]
        self._counts_BV = None if self._counts_BV is None else self._counts_BV[rows]
        self._seeds_B = None if self._seeds_B is None else self._seeds_B[rows]
        self._cuts = None if self._cuts is None else self._cuts.rows(rows)
        self._places_B = self._places_B[rows]

    def kept(self, place: int, steps: int) -> NDArray[np.uint8]:
        """(T, P): the sets that the first tokens of a program were drawn from, by its place at the start."""
        return self._kept_BTP[place, :steps]

    def _noise(self) -> NDArray[np.float32] | None:
        if self._seeds_B is None:
            return None
        steps_B = np.full(len(self._seeds_B), self._steps, dtype=np.uint64)
        return noise(self._seeds_B, steps_B, self._heated_BV.shape[1])


def _column(values: Sequence[float]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)[:, None]
