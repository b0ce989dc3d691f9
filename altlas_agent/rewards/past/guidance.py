"""Exploration guided by feedback: what failed at a task decides how the next group explores it.

    repeated failures      --> a larger exploratory share, a higher temperature
    the commonest fault    --> other arms
    tokens that are blamed --> a penalty on their logits

Pure functions of the memory: the same past gives the same guidance. The factors of arms are guesses that an
ablation has to bear out.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from altlas_agent.core.records import Arm, Fault, Guidance

if TYPE_CHECKING:
    from altlas_agent.core.states import TaskFeedback
    from altlas_agent.settings.learners.feedback import GuideSettings


class Trouble(enum.StrEnum):
    """What most failures at a task have in common.

    broken  programs end by an error of their own
    slow    programs use up time or memory
    wrong   programs run to their end and answer wrongly
    """

    BROKEN = "broken"
    SLOW = "slow"
    WRONG = "wrong"


_SLOW = frozenset({Fault.TIMEOUT, Fault.CPU, Fault.MEMORY, Fault.OUTPUT, Fault.RECURSION})
_WRONG = frozenset({Fault.WRONG_ANSWER, Fault.CONSTRAINT})
_ARMS: dict[Trouble, dict[str, float]] = {
    Trouble.BROKEN: {Arm.MUTATE: 2.0, Arm.FLAT: 0.5},
    Trouble.SLOW: {Arm.SEARCH: 2.0, Arm.MUTATE: 1.5, Arm.FLAT: 0.5},
    Trouble.WRONG: {Arm.SEARCH: 2.0, Arm.FLAT: 1.5},
}
"""What is broken is mended near where it is; what answers wrongly is looked for farther away."""

NOTHING = Guidance()


def guided(past: TaskFeedback | None, settings: GuideSettings) -> Guidance:
    """How the next group of a task with this past is to be explored; nothing is changed without a past."""
    if past is None or not settings.is_on:
        return NOTHING
    trouble = trouble_of(past)
    arms = _ARMS[trouble] if trouble is not None else {}
    return Guidance(
        share=1.0 + settings.share_boost * past.repeated,
        temperature=1.0 + settings.temperature_boost * past.repeated,
        arms={arm: factor**settings.arm_strength for arm, factor in arms.items()}
        if settings.arm_strength
        else {},
        penalties=_penalties(past, settings),
    )


def trouble_of(past: TaskFeedback) -> Trouble | None:
    """What the recent failures were most of; None without any."""
    counts = dict.fromkeys(Trouble, 0.0)
    for name, count in past.recent.items():
        fault = Fault(name)
        kind = Trouble.SLOW if fault in _SLOW else Trouble.WRONG if fault in _WRONG else Trouble.BROKEN
        counts[kind] += count
    return max(counts, key=counts.__getitem__) if any(counts.values()) else None


def _penalties(past: TaskFeedback, settings: GuideSettings) -> dict[int, float]:
    """In proportion to the blame, which fades; never more than the settings name."""
    if not settings.blame_penalty:
        return {}
    return {token: settings.blame_penalty * min(blame, 1.0) for token, blame in past.blamed.items()}
