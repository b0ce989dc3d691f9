"""A token that is used too much is held back, for a while, and then looked at again."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altlas_agent.core.nouns.tracks import ImbalanceState
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.languages.usage.imbalance import ImbalanceLimits, observe, penalties

V = vocabulary()
ADDS = [V.numbers("OUTPUT ADD ADD INT_1 INT_2 INT_1 END")] * 200
MIXED = [V.numbers(f"OUTPUT {sign} INT_1 INT_2 END") for sign in ("ADD", "SUB", "MUL", "MOD", "INT_DIV")] * 40
LIMITS = ImbalanceLimits(cooldown=4)


def _after(*batches: list[tuple[int, ...]], limits: ImbalanceLimits = LIMITS) -> ImbalanceState:
    state = ImbalanceState()
    for batch in batches:
        state = observe(state, batch, limits)
    return state


def _penalised(state: ImbalanceState) -> dict[str, float]:
    return {V.tokens[number].name: taken for number, taken in enumerate(penalties(state)) if taken}


def test_a_token_that_crowds_out_its_role_is_penalised_and_no_other_operator_is() -> None:
    penalised = _penalised(_after(ADDS))
    assert penalised["ADD"] > 0
    assert not {"SUB", "MUL", "EQ", "OUTPUT", "END"} & set(penalised)


def test_a_balanced_policy_is_left_alone() -> None:
    assert "ADD" not in _penalised(_after(MIXED, MIXED))


def test_the_penalty_fades_over_the_cooldown_and_is_not_renewed_before_it_is_over() -> None:
    state, taken = _after(ADDS), []
    for _ in range(4):
        taken.append(_penalised(state)["ADD"])
        state = observe(state, ADDS, LIMITS)
    assert all(later < earlier for earlier, later in pairwise(taken))
    assert taken == pytest.approx([taken[0] * left / 4 for left in (4, 3, 2, 1)])


def test_after_the_cooldown_an_excess_that_is_still_there_is_found_again() -> None:
    once = _after(*[ADDS] * 4)
    again = _after(*[ADDS] * 5)
    assert (once.found, again.found) == (_after(ADDS).found, 2 * _after(ADDS).found)


def test_an_excess_that_has_gone_is_forgotten() -> None:
    assert "ADD" not in _penalised(_after(ADDS, *[MIXED] * 40))


def test_a_role_that_hardly_occurs_is_not_judged() -> None:
    assert _penalised(_after(ADDS[:2])) == {}


def test_more_excess_costs_more_up_to_a_limit() -> None:
    mild = _after(MIXED + ADDS[:120], limits=ImbalanceLimits(over=2.0))
    strong = _after(ADDS, limits=ImbalanceLimits(over=2.0))
    hardest = _after(ADDS, limits=ImbalanceLimits(over=2.0, strength=50.0, most=3.0))
    assert 0 < _penalised(mild)["ADD"] < _penalised(strong)["ADD"]
    assert _penalised(hardest)["ADD"] == 3.0


BATCHES = st.lists(
    st.lists(st.lists(st.integers(0, 400), max_size=30).map(tuple), max_size=50), min_size=1, max_size=6
)


@settings(max_examples=60, deadline=None)
@given(batches=BATCHES)
def test_whatever_is_written_there_is_one_finite_penalty_for_each_token(
    batches: list[list[tuple[int, ...]]],
) -> None:
    limits = ImbalanceLimits(over=1.1, least=0.0, strength=1e6, most=5.0, cooldown=2)
    taken = penalties(_after(*batches, limits=limits))
    assert len(taken) == len(V)
    assert all(math.isfinite(each) and 0.0 <= each <= 5.0 for each in taken)


def test_before_anything_was_seen_nothing_is_taken() -> None:
    assert set(penalties(ImbalanceState())) == {0.0}


def test_a_state_is_not_changed_by_what_follows() -> None:
    state = _after(ADDS)
    before = penalties(state)
    observe(state, MIXED, LIMITS)
    assert penalties(state) == before


@pytest.mark.parametrize(
    ("limits", "problem"),
    [
        (ImbalanceLimits(over=1.0), "over=1 must be more than 1"),
        (ImbalanceLimits(memory=1.0), "memory=1 must be from 0 to below 1"),
        (ImbalanceLimits(strength=math.nan), "strength=nan must not be negative"),
        (ImbalanceLimits(most=math.inf), "most=inf must not be negative"),
        (ImbalanceLimits(cooldown=0), "cooldown=0 must be 1 or more"),
    ],
)
def test_limits_that_make_no_sense_are_refused(limits: ImbalanceLimits, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        observe(ImbalanceState(), [], limits)
