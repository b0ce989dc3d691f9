"""Keys and values of what was written so far, in memory that is taken once and written in place.

Shapes: S slots, B active programs, N heads, T steps, D width of a head. A program keeps its slot until a quarter
of them are idle; only then is anything moved. Idle slots are computed along, which is cheaper than moving.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_MOVE_BELOW = 0.75
"""Share of active slots below which they are moved together."""


class CacheSize(NamedTuple):
    """What a cache has room for; `longest` counts steps."""

    layers: int
    programs: int
    longest: int
    heads: int
    head_width: int


class KVCache:
    """The cache of all layers. `length` is how many steps are complete."""

    def __init__(self, size: CacheSize) -> None:
        layers, programs, longest, heads, width = size
        self._store_L2SNTD = torch.empty(layers, 2, programs, heads, longest, width)
        self._slots_B = torch.arange(programs)
        self.length = 0

    def append(self, layer: int, keys_BND: Tensor, values_BND: Tensor) -> tuple[Tensor, Tensor]:
        """Put in what one layer makes of this step; gives its keys and values so far, (S, N, T, D) each.

        Raises IndexError when there is no room for another step.
        """
        if self.length >= self._store_L2SNTD.shape[4]:
            raise IndexError(f"the cache has room for {self.length} steps")
        self._store_L2SNTD[layer, 0, :, :, self.length].copy_(self.spread(keys_BND))
        self._store_L2SNTD[layer, 1, :, :, self.length].copy_(self.spread(values_BND))
        keys, values = self._store_L2SNTD[layer, :, :, :, : self.length + 1]
        return keys, values

    def stepped(self) -> None:
        """Every layer has put in its step."""
        self.length += 1

    def spread(self, x_BND: Tensor) -> Tensor:
        """(S, N, D): what belongs to active programs in their slots, zeros in the idle ones."""
        if self._is_dense:
            return x_BND
        return x_BND.new_zeros(self._num_slots, *x_BND.shape[1:]).index_copy_(0, self._slots_B, x_BND)

    def gathered(self, x_SND: Tensor) -> Tensor:
        """(B, N, D): what `spread` spreads."""
        return x_SND if self._is_dense else x_SND[self._slots_B]

    def keep(self, rows_K: Tensor) -> None:
        """Go on with these programs only, in this order. One that is named twice goes on twice."""
        slots_K = self._slots_B[rows_K]
        is_in_order = bool((slots_K[1:] > slots_K[:-1]).all())
        if is_in_order and len(slots_K) >= _MOVE_BELOW * self._num_slots:
            self._slots_B = slots_K
            return
        longest = self._store_L2SNTD.shape[4]
        moved = self._store_L2SNTD.new_empty(
            *self._store_L2SNTD.shape[:2], len(slots_K), self._store_L2SNTD.shape[3], longest,
            self._store_L2SNTD.shape[5],
        )  # fmt: skip
        moved[:, :, :, :, : self.length] = self._store_L2SNTD[:, :, slots_K, :, : self.length]
        self._store_L2SNTD, self._slots_B = moved, torch.arange(len(slots_K))

    @property
    def _num_slots(self) -> int:
        return self._store_L2SNTD.shape[2]

    @property
    def _is_dense(self) -> bool:
        return len(self._slots_B) == self._num_slots
