"""Imbalance: a policy that writes one token far more often than others of its role is held back from it.

A pure step from state to state. Each batch of programs moves the running shares of the tokens; a token whose
share within its role exceeds `limits.over` even shares is penalised for `limits.cooldown` batches, during which
the penalty falls in a straight line to nothing. Until then it is not looked at again, so that the same excess
is answered once, and the policy has time to answer back: without this pause penalty and habit would chase
each other.

    state ── observe(state, programs, limits) ──► state ── penalties(state) ──► one float per token
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

from altlas_agent.core.nouns.base import Record
from altlas_agent.core.nouns.tracks import Held, ImbalanceState
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.languages.usage.counts import judged_roles

if TYPE_CHECKING:
    from collections.abc import Iterable


class ImbalanceLimits(Record):
    """When a token is used too much, and what then happens."""

    over: float = 4.0
    """So many times the even share within its role is too much. More than 1."""
    memory: float = 0.9
    """What is left of the running counts after each batch: 0.9 remembers about ten batches. From 0 to 1."""
    least: float = 200.0
    """A role of which fewer tokens are remembered is not judged."""
    strength: float = 0.5
    """Penalty in logits for each doubling beyond `over`, and at `over` itself."""
    most: float = 3.0
    """No penalty is larger than this, in logits."""
    cooldown: int = 20
    """Batches until a penalty has faded and the token is looked at again."""


def observe(
    state: ImbalanceState, programs: Iterable[tuple[int, ...]], limits: ImbalanceLimits
) -> ImbalanceState:
    """The state after one more batch of programs, given as their tokens.

    Numbers beyond the vocabulary are left out. Raises ValueError when the limits make no sense.
    """
    _check(limits)
    counts = _moved(state.counts, programs, limits.memory)
    held = tuple(
        Held(token=each.token, penalty=each.penalty, left=each.left - 1, excess=each.excess)
        for each in state.held
        if each.left > 1
    )
    resting = {each.token for each in held}
    found = tuple(
        Held(token=token, penalty=_penalty(excess, limits), left=limits.cooldown, excess=excess)
        for token, excess in _excesses(counts, limits)
        if token not in resting
    )
    return ImbalanceState(
        counts=counts,
        held=(*held, *found),
        batches=state.batches + 1,
        found=state.found + len(found),
        cooldown=limits.cooldown,
    )


def penalties(state: ImbalanceState) -> tuple[float, ...]:
    """What is to be taken from the logit of each token, by its number: 0 or more, finite."""
    taken = [0.0] * len(vocabulary())
    for each in state.held:
        taken[each.token] = each.penalty * min(1.0, each.left / state.cooldown)
    return tuple(taken)


def _check(limits: ImbalanceLimits) -> None:
    problems = [
        text
        for is_wrong, text in (
            (not limits.over > 1.0, f"over={limits.over:g} must be more than 1"),
            (not 0.0 <= limits.memory < 1.0, f"memory={limits.memory:g} must be from 0 to below 1"),
            (not 0.0 <= limits.strength < math.inf, f"strength={limits.strength:g} must not be negative"),
            (not 0.0 <= limits.most < math.inf, f"most={limits.most:g} must not be negative"),
            (limits.cooldown < 1, f"cooldown={limits.cooldown} must be 1 or more"),
        )
        if is_wrong
    ]
    if problems:
        raise ValueError(f"imbalance limits: {'; '.join(problems)}")


def _moved(
    counts: tuple[float, ...], programs: Iterable[tuple[int, ...]], memory: float
) -> tuple[float, ...]:
    new: Counter[int] = Counter()
    for tokens in programs:
        new.update(tokens)
    old = (*counts, *[0.0] * (len(vocabulary()) - len(counts)))
    return tuple(memory * old[number] + new[number] for number in range(len(vocabulary())))


def _excesses(counts: tuple[float, ...], limits: ImbalanceLimits) -> Iterable[tuple[int, float]]:
    """Tokens used too much, with how many even shares they have."""
    for members in judged_roles().values():
        total = sum(counts[number] for number in members)
        if total <= 0 or total < limits.least or len(members) < 2:
            continue
        for number in members:
            excess = counts[number] * len(members) / total
            # With few members no share can be so many times the even one: half of the role is too much then.
            if excess > min(limits.over, (1 + len(members)) / 2):
                yield number, excess


def _penalty(excess: float, limits: ImbalanceLimits) -> float:
    beyond = max(0.0, math.log2(excess / limits.over))
    return min(limits.most, limits.strength * (1.0 + beyond))
