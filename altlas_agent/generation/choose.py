"""Which arm draws an exploratory attempt: a bandit for each task, by Thompson sampling.

An arm wins when its attempt scores more than any before it on the task (Thompson 1933; what wins and
trials fade by is ours, since what a task needs changes while it is learned).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.records import Arm
from altlas_agent.core.states import NearMiss, Tried

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping, Sequence

    from altlas_agent.core.records import Judged

EXPLORING = (Arm.FLAT, Arm.GRAMMAR, Arm.SEARCH, Arm.MUTATE)
NEAR_MISSES = 8
_FADES = 0.97
_PRIOR_TRIALS = 8.0


def arms_of(
    count: int, shares: Mapping[Arm, float], tried: Tried, rng: random.Random, *, adapt: bool
) -> list[Arm]:
    """The arms of `count` exploratory attempts, in the order of EXPLORING.

    Without `adapt` by the shares alone; with it they are what the bandit believes before it has seen anything.
    """
    if not adapt:
        return _by_share(count, shares)
    drawn = [max(shares, key=lambda arm: _belief(arm, shares, tried, rng)) for _ in range(count)]
    return sorted(drawn, key=EXPLORING.index)


def _by_share(count: int, shares: Mapping[Arm, float]) -> list[Arm]:
    total, made, owed = sum(shares.values()), list[Arm](), 0.0
    for arm in EXPLORING:
        owed += count * shares.get(arm, 0.0) / total if total else 0.0
        made += [arm] * (round(owed) - len(made))
    return made


def _belief(arm: Arm, shares: Mapping[Arm, float], tried: Tried, rng: random.Random) -> float:
    share = shares[arm] / sum(shares.values())
    if not share:
        return -1.0
    wins = share + tried.wins.get(arm, 0.0)
    losses = (1 - share) + _PRIOR_TRIALS + tried.trials.get(arm, 0.0) - tried.wins.get(arm, 0.0)
    return rng.betavariate(wins, max(losses, 1e-3))


def observed(tried: Tried, judged: Sequence[Judged]) -> Tried:
    """What is known of a task after a group of attempts, in their order."""
    wins = {arm: count * _FADES for arm, count in tried.wins.items()}
    trials = {arm: count * _FADES for arm, count in tried.trials.items()}
    best, near = tried.best, {each.tokens: each for each in tried.near}
    for each in judged:
        if not each.outcome.status.is_scored:
            continue
        arm, value = each.attempt.arm, each.score.value
        trials[arm] = trials.get(arm, 0.0) + 1
        if value > best:
            best, wins[arm] = value, wins.get(arm, 0.0) + 1
        near[each.attempt.tokens] = NearMiss(tokens=each.attempt.tokens, score=value)
    closest = sorted(near.values(), key=lambda miss: (-miss.score, len(miss.tokens), miss.tokens))
    return msgspec.structs.replace(
        tried, best=best, wins=wins, trials=trials, near=tuple(closest[:NEAR_MISSES])
    )
