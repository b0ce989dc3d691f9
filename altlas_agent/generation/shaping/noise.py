"""Noise that can be made again: a function of a seed, a step and a token, and of nothing that happened before.

A generator with a state would have to be wound forward for each program that is learned from. Here every number is
made on its own, so a step of many programs and the whole of one program come out of the same lines: seed and step
are mixed by the finaliser of SplitMix64 (Steele, Lea and Flood 2014), the token by that of MurmurHash3, which needs
32 bits only and so takes half the time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST, _SECOND = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_STEP_OF_TOKEN = np.uint32(0x9E3779B1)
_THIRD, _FOURTH = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)
_LOW = np.uint32(0xFFFF)
_MEAN = np.float32(2**16 - 1)
_SCALE = np.float32(math.sqrt(6.0) / 2**16)


def noise(seeds_N: NDArray[np.uint64], steps_N: NDArray[np.uint64], width: int) -> NDArray[np.float32]:
    """(N, V): mean 0 and deviation 1, never beyond 2.45: the sum of two even numbers, less its mean."""
    keys_N = (_mixed(seeds_N + _GOLDEN * (steps_N + np.uint64(1))) >> np.uint64(32)).astype(np.uint32)
    bits_NV = keys_N[:, None] + _STEP_OF_TOKEN * np.arange(width, dtype=np.uint32)
    bits_NV ^= bits_NV >> np.uint32(16)
    bits_NV *= _THIRD
    bits_NV ^= bits_NV >> np.uint32(13)
    bits_NV *= _FOURTH
    bits_NV ^= bits_NV >> np.uint32(16)
    sums_NV = ((bits_NV & _LOW) + (bits_NV >> np.uint32(16))).astype(np.float32)
    sums_NV -= _MEAN
    sums_NV *= _SCALE
    return sums_NV


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * _FIRST
    x = (x ^ (x >> np.uint64(27))) * _SECOND
    return x ^ (x >> np.uint64(31))
