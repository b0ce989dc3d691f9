"""Which gradients are unusually long: ZClip 2025 (arXiv 2504.02507).

A running mean and variance of the length are kept. A gradient more than `threshold` deviations above the mean is
shortened to mean + threshold x deviation / (z / threshold): the more unusual, the shorter. What is remembered is
the shortened length, so that one spike does not make the next one usual.
"""

from __future__ import annotations

import math
from statistics import fmean, pvariance
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from altlas_agent.core.states import NormState
    from altlas_agent.settings.learners.control import ZclipSettings

_EPSILON = 1e-6


def limit(settings: ZclipSettings, state: NormState, norm: float) -> float:
    """The length that a gradient of this one is shortened to; infinity where it is usual."""
    if not settings.enabled or state.mean is None:
        return math.inf
    spread = math.sqrt(state.variance)
    z = (norm - state.mean) / (spread + _EPSILON)
    if z <= settings.threshold:
        return math.inf
    return state.mean + settings.threshold * spread / (z / settings.threshold)


def observed(settings: ZclipSettings, state: NormState, norm: float) -> NormState:
    """What is known after a gradient that was `norm` long, or was shortened to that for being unusual."""
    if not settings.enabled:
        return state
    if state.mean is None:
        first = (*state.first, norm)
        if len(first) < settings.warmup_steps:
            return msgspec.structs.replace(state, first=first)
        return msgspec.structs.replace(state, first=(), mean=fmean(first), variance=pvariance(first))
    mean = settings.decay * state.mean + (1.0 - settings.decay) * norm
    variance = settings.decay * state.variance + (1.0 - settings.decay) * (norm - mean) ** 2
    return msgspec.structs.replace(state, mean=mean, variance=variance)
