"""A whole program that was drawn before: all that was added to its logits, for the learner. T steps, V tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from altlas_agent.generation.masks import FORBIDDEN
from altlas_agent.generation.shaping.logits import moving, unpack
from altlas_agent.generation.shaping.noise import noise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from altlas_agent.core.records import Conditions


def whole(
    conditions: Conditions,
    tokens: Sequence[int],
    masks_TV: NDArray[np.float32],
    heated_V: NDArray[np.float32],
) -> NDArray[np.float32]:
    """(T, V) to be added to the heated logits. `heated_V` is what is pushed, divided by the temperature."""
    strategy, width = conditions.strategy, masks_TV.shape[1]
    bias_TV: NDArray[np.float32] = masks_TV + heated_V
    if strategy.repetition or strategy.noise:
        counts_TV = _counts(tokens, width) if strategy.repetition else None
        moved_TV = moving(
            counts_TV, _noise(conditions, len(tokens), width), _one(strategy.repetition), _one(strategy.noise)
        )
        bias_TV += moved_TV / np.float32(strategy.temperature)
    if conditions.kept:
        bias_TV[~unpack(conditions.kept, width)] = FORBIDDEN
    return bias_TV


def _counts(tokens: Sequence[int], width: int) -> NDArray[np.float32]:
    """How often each token stood before each step."""
    found_TV = np.zeros((len(tokens), width), dtype=np.float32)
    found_TV[np.arange(1, len(tokens)), tokens[:-1]] = 1
    return np.cumsum(found_TV, axis=0, dtype=np.float32)


def _noise(conditions: Conditions, steps: int, width: int) -> NDArray[np.float32] | None:
    if not conditions.strategy.noise:
        return None
    seeds_T = np.full(steps, conditions.seed, dtype=np.uint64)
    return noise(seeds_T, np.arange(steps, dtype=np.uint64), width)


def _one(value: float) -> NDArray[np.float32]:
    return np.array([[value]], dtype=np.float32)
