"""The learning rate by performance, and by the kind of errors.

By performance: when a running mean of the score has not risen for some steps, a factor of the rate is left; a
rise gives the same back. By errors: programs that break down teach something simple, so the rate is raised by
the share of attempts that broke down rather than answered wrongly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.records import Fault

if TYPE_CHECKING:
    from altlas_agent.core.states import PaceState
    from altlas_agent.settings.learners.control import PaceSettings

DECAY = 0.9
"""What is left of the running mean of the score in each step."""

LEAST_RISE = 0.005
"""A rise of the running mean by less is none."""

ANSWERED = frozenset({Fault.NONE, Fault.WRONG_ANSWER, Fault.CONSTRAINT, Fault.INFRASTRUCTURE})
"""Faults of programs that ran to their end, or that say nothing about the program."""


def rate_share(settings: PaceSettings, state: PaceState) -> float:
    """What the learning rate is multiplied by in the step to come."""
    return (state.share if settings.by_score else 1.0) * (1.0 + settings.fault_boost * state.broken)


def observed(settings: PaceSettings, state: PaceState, score: float, broken: float) -> PaceState:
    """What is known once the attempts of a step had this mean score, and this share of them broke down."""
    state = msgspec.structs.replace(state, broken=broken)
    if not settings.by_score:
        return state
    mean = score if state.score is None else DECAY * state.score + (1.0 - DECAY) * score
    if state.best is None or mean > state.best + LEAST_RISE:
        share = state.share if state.best is None else min(state.share / settings.factor, 1.0)
        return msgspec.structs.replace(state, score=mean, best=mean, stale=0, share=share)
    if state.stale + 1 < settings.patience_steps:
        return msgspec.structs.replace(state, score=mean, stale=state.stale + 1)
    share = max(state.share * settings.factor, settings.least_share)
    return msgspec.structs.replace(state, score=mean, best=mean, stale=0, share=share)
