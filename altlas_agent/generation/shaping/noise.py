"""Noise that can be made again: a function of a seed, a step and a token, and of nothing that happened before.

A generator with a state would have to be wound forward for each program that is learned from. Here every number is
made on its own, by two rounds of the SplitMix64 finaliser (Steele, Lea and Flood 2014), so a step of many programs
and the whole of one program come out of the same lines.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_LOW = np.uint64(0xFFFFFFFF)
_SCALE = np.float32(math.sqrt(6.0) / 2**32)


def noise(seeds_N: NDArray[np.uint64], steps_N: NDArray[np.uint64], width: int) -> NDArray[np.float32]:
    """(N, V): mean 0 and deviation 1, never beyond 2.45: the sum of two even numbers, less its mean."""
    keys_N = _mixed(seeds_N + _GOLDEN * (steps_N + np.uint64(1)))
    bits_NV = _mixed(keys_N[:, None] + _GOLDEN * np.arange(width, dtype=np.uint64))
    sums_NV = (bits_NV >> np.uint64(32)) + (bits_NV & _LOW)
    # Subtracted while they are whole numbers: float32 has no room for 33 bits.
    return (sums_NV.view(np.int64) - np.int64(2**32)).astype(np.float32) * _SCALE


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))
