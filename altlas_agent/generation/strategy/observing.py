"""What is remembered after a batch that was judged: a pure step from state to state."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.nouns.tracks import TaskTrack
from altlas_agent.core.records import Arm
from altlas_agent.languages.usage.imbalance import ImbalanceLimits, observe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.core.nouns.tracks import StrategyState
    from altlas_agent.core.records import Attempt, Group
    from altlas_agent.settings.generation import GenerationSettings

_MEMORY = 0.8
"""How much of the running score is left after a group."""


def observed(state: StrategyState, groups: Sequence[Group], settings: GenerationSettings) -> StrategyState:
    """The state after one more batch."""
    tracks = {**state.tracks}
    for group in groups:
        key = group.plan.task.key
        tracks[key] = tracked(tracks.get(key, TaskTrack()), group)
    imbalance, push = state.imbalance, settings.push
    if push.imbalance:
        limits = ImbalanceLimits(strength=push.imbalance, cooldown=push.imbalance_cooldown)
        imbalance = observe(imbalance, [each.tokens for group in groups for each in own_of(group)], limits)
    return msgspec.structs.replace(
        state, steps=state.steps + 1, rest=max(0, state.rest - 1), tracks=tracks, imbalance=imbalance
    )


def tracked(track: TaskTrack, group: Group) -> TaskTrack:
    """How its task goes after a group. What the sandbox failed at says nothing."""
    scores = [judged.score.value for judged in group.judged if judged.outcome.status.is_scored]
    best = max(scores, default=0.0)
    own = own_of(group)
    if not own:
        return _bettered(track, best)
    numbers = {each.number for each in own}
    values = [judged.score.value for judged in group.judged if judged.attempt.number in numbers]
    logps = [logp for each in own for logp in each.logps]
    return msgspec.structs.replace(
        _bettered(track, best),
        score=_MEMORY * track.score + (1 - _MEMORY) * sum(values) / len(values),
        repeats=1 - (len({each.tokens for each in own}) - 1) / (len(own) - 1) if len(own) > 1 else 0.0,
        certainty=sum(map(math.exp, logps)) / max(len(logps), 1),
    )


def own_of(group: Group) -> list[Attempt]:
    """The attempts of the policy itself that were scored."""
    return [
        judged.attempt
        for judged in group.judged
        if judged.attempt.arm is Arm.POLICY and judged.outcome.status.is_scored
    ]


def _bettered(track: TaskTrack, best: float) -> TaskTrack:
    if best > track.best:
        return msgspec.structs.replace(track, best=best, stale=0)
    return msgspec.structs.replace(track, stale=track.stale + 1)
