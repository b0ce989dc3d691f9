"""The weight of the entropy bonus: fixed, by success rate, or towards a target of entropy.

By success rate: it falls in a straight line from `highest`, when nothing succeeds, to `lowest`. Towards a target
(Skywork-OR1, arXiv 2505.22312): it grows by a step after each step whose entropy was at most the target and
shrinks by one otherwise; the bonus is paid only while the last entropy was at most the target.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from altlas_agent.core.states import EntropyState
    from altlas_agent.settings.learners.control import EntropySettings


def coefficient(settings: EntropySettings, state: EntropyState, fixed: float) -> float:
    """The weight in the step to come; `fixed` where nothing regulates it or nothing is known yet."""
    match settings.control:
        case "fixed":
            return fixed
        case "success":
            if state.success is None:
                return fixed
            return settings.lowest + (settings.highest - settings.lowest) * (1.0 - state.success)
        case "target":
            if state.entropy is not None and state.entropy > settings.target:
                return 0.0
            return fixed if state.coefficient is None else state.coefficient


def after_step(settings: EntropySettings, state: EntropyState, fixed: float, entropy: float) -> EntropyState:
    """What is known once a step had this mean entropy per token."""
    if settings.control != "target":
        return state
    before = fixed if state.coefficient is None else state.coefficient
    change = settings.step if entropy <= settings.target else -settings.step
    bounded = min(max(before + change, settings.lowest), settings.highest)
    return msgspec.structs.replace(state, coefficient=bounded, entropy=entropy)
