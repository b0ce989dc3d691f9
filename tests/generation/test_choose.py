"""The bandit over arms: it shifts to what betters a task's score, and keeps near misses."""

from __future__ import annotations

import random

import msgspec

from altlas_agent.core.records import Arm, Judged, Status
from altlas_agent.core.states import Tried
from altlas_agent.generation.choose import NEAR_MISSES, arms_of, observed
from tests.builders import make_judged

SHARES = {Arm.FLAT: 0.25, Arm.GRAMMAR: 0.25, Arm.SEARCH: 0.25, Arm.MUTATE: 0.25}


def judged(number: int, arm: Arm, score: float, status: Status = Status.SUCCESS) -> Judged:
    made = make_judged(number, score=score, status=status)
    attempt = msgspec.structs.replace(made.attempt, arm=arm, tokens=(number,))
    return msgspec.structs.replace(made, attempt=attempt)


def test_without_a_bandit_every_arm_has_its_share() -> None:
    shares = {**SHARES, Arm.FLAT: 0.5}
    arms = arms_of(10, shares, Tried(), random.Random(0), adapt=False)
    assert arms == [Arm.FLAT] * 4 + [Arm.GRAMMAR] * 2 + [Arm.SEARCH] * 2 + [Arm.MUTATE] * 2


def test_an_arm_without_a_share_draws_nothing() -> None:
    shares = {**SHARES, Arm.GRAMMAR: 0.0}
    assert Arm.GRAMMAR not in arms_of(500, shares, Tried(), random.Random(0), adapt=True)


def test_an_arm_that_bettered_the_score_draws_more() -> None:
    tried = Tried()
    for number in range(1, 20):
        group = [judged(4 * number + place, arm, 0.0) for place, arm in enumerate(SHARES)]
        group[2] = judged(4 * number + 2, Arm.SEARCH, number / 20)
        tried = observed(tried, group)
    arms = arms_of(400, SHARES, tried, random.Random(0), adapt=True)
    assert arms.count(Arm.SEARCH) > 150 > arms.count(Arm.FLAT)
    assert set(arms) == set(SHARES), "the others are still tried"


def test_old_luck_counts_less_and_less() -> None:
    tried = observed(Tried(), [judged(1, Arm.FLAT, 0.5)])
    later = observed(tried, [])
    assert 0 < later.wins[Arm.FLAT] < tried.wins[Arm.FLAT] == 1
    assert later.best == 0.5


def test_the_closest_misses_are_kept_the_best_first() -> None:
    tried = observed(Tried(), [judged(n, Arm.GRAMMAR, n / 100) for n in range(1, 31)])
    assert [miss.tokens for miss in tried.near] == [(n,) for n in range(30, 30 - NEAR_MISSES, -1)]


def test_what_the_sandbox_failed_at_is_no_trial() -> None:
    assert observed(Tried(), [judged(1, Arm.FLAT, 0.0, Status.INTERNAL)]) == Tried()
