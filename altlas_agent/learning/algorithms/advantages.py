"""Scores to advantages: the arithmetic of every group method, on plain lists, one for each group.

The tests hold it against what TRL 1.16 computes; there the standard deviation is that with n - 1, too.
"""

from __future__ import annotations

import math
from itertools import chain
from statistics import fmean, stdev
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Sequence

Scores = list[list[float]]

_TINY = 1e-8


def group_relative(
    groups: Sequence[Sequence[float]], scale: Literal["group", "batch", "none"], epsilon: float
) -> Scores:
    """(r - mean of the group) / (spread + epsilon), GRPO; the spread of the group, of all groups, or no division."""
    batch = deviation(list(chain.from_iterable(groups)))
    made: Scores = []
    for group in groups:
        spread = deviation(group) if scale == "group" else batch
        divisor = 1.0 if scale == "none" else spread + epsilon
        made.append([each / divisor for each in centred(group)])
    return made


def leave_one_out(groups: Sequence[Sequence[float]]) -> Scores:
    """r - mean of the others, RLOO; nothing for a score without others."""
    return [
        [each * len(group) / (len(group) - 1) for each in centred(group)] if len(group) > 1 else []
        for group in groups
    ]


def normalized(groups: Sequence[Sequence[float]], epsilon: float) -> Scores:
    """Brought to mean 0 and spread 1 over all groups."""
    everything = list(chain.from_iterable(groups))
    if not everything:
        return [[] for _ in groups]
    mean, divisor = fmean(everything), deviation(everything) + epsilon
    return [[(each - mean) / divisor for each in group] for group in groups]


def decoupled(
    kinds: Sequence[Sequence[Sequence[float | None]]], weights: Sequence[float], epsilon: float
) -> Scores:
    """Several scores for each attempt, each brought to one spread in its group before they are added (GDPO,
    arXiv 2601.05242). `kinds[k]` are the groups as score k sees them; a missing score adds nothing."""
    scaled = [[_around_zero(group, epsilon) for group in groups] for groups in kinds]
    sums = [
        [sum(w * one for w, one in zip(weights, each, strict=True)) for each in zip(*group, strict=True)]
        for group in zip(*scaled, strict=True)
    ]
    return normalized(sums, epsilon)


def _around_zero(group: Sequence[float | None], epsilon: float) -> list[float]:
    made = iter(group_relative([[each for each in group if each is not None]], "group", epsilon)[0])
    return [0.0 if each is None else next(made) for each in group]


def whitened(rows: Sequence[Sequence[float]]) -> list[list[float]]:
    """Brought to mean 0 and variance 1 over all tokens (REINFORCE++); long rows count more than short ones."""
    tokens = list(chain.from_iterable(rows))
    if len(tokens) < 2:
        return [[0.0] * len(row) for row in rows]
    mean = math.fsum(tokens) / len(tokens)
    variance = math.fsum((token - mean) ** 2 for token in tokens) / (len(tokens) - 1)
    scale = 1.0 / math.sqrt(variance + _TINY)
    return [[(token - mean) * scale for token in row] for row in rows]


def centred(group: Sequence[float]) -> list[float]:
    """r - mean."""
    if not group:
        return []
    mean = fmean(group)
    return [each - mean for each in group]


def deviation(scores: Sequence[float]) -> float:
    """The standard deviation with n - 1, 0 for fewer than two scores."""
    return stdev(scores) if len(scores) > 1 else 0.0
