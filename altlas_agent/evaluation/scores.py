"""Measures of solved tasks: the unbiased pass@k, and an interval that says how sure a mean is."""

from __future__ import annotations

import random
from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

RESAMPLES = 2_000
_SHARE = 0.95


class Interval(NamedTuple):
    """A mean, and the bounds between which 95 of 100 resamplings of it lie."""

    mean: float
    low: float
    high: float


def pass_at_k(samples: int, solved: int, k: int) -> float:
    """The chance that at least one of `k` samples solves a task, when `solved` of `samples` did.

    1 - C(n - c, k) / C(n, k) as a product, from Chen et al. 2021 (arXiv 2107.03374). Raises ValueError when
    there are fewer samples than `k`.
    """
    if not 1 <= k <= samples:
        raise ValueError(f"pass@{k} needs at least {k} samples, not {samples}")
    if samples - solved < k:
        return 1.0
    failing = 1.0
    for i in range(samples - solved + 1, samples + 1):
        failing *= 1.0 - k / i
    return 1.0 - failing


def bootstrap(values: Sequence[float], seed: int = 0) -> Interval:
    """The mean with its 95 % percentile interval, by resampling the values.

    Where they are one number per task it tells how sure the mean over tasks is, not over samples. Raises
    ValueError without values.
    """
    if not values:
        raise ValueError("an interval needs at least one value")
    rng = random.Random(seed)
    means = sorted(fmean(rng.choices(values, k=len(values))) for _ in range(RESAMPLES))
    edge = int((1 - _SHARE) / 2 * RESAMPLES)
    return Interval(fmean(values), means[edge], means[-1 - edge])
