"""pass@k and its interval, against numbers that were worked out elsewhere."""

from __future__ import annotations

import random
from itertools import combinations
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.evaluation.scores import bootstrap, pass_at_k


@pytest.mark.parametrize(
    ("samples", "solved", "k", "expected"),
    [
        (5, 2, 1, 0.4),
        (5, 2, 2, 0.7),
        (5, 2, 3, 0.9),
        (5, 2, 4, 1.0),
        (200, 10, 10, 0.408548),
        (200, 10, 100, 0.999229),
        (8, 0, 8, 0.0),
    ],
)
def test_pass_at_k_is_what_the_reference_gives(samples: int, solved: int, k: int, expected: float) -> None:
    assert pass_at_k(samples, solved, k) == pytest.approx(expected, abs=1e-6)


@given(st.integers(1, 40), st.data())
def test_pass_at_k_is_the_share_of_choices_that_hold_a_solution(samples: int, data: st.DataObject) -> None:
    solved = data.draw(st.integers(0, samples))
    k = data.draw(st.integers(1, samples))
    assert pass_at_k(samples, solved, k) == pytest.approx(1 - comb(samples - solved, k) / comb(samples, k))


def test_the_estimate_is_unbiased_where_the_naive_one_is_not() -> None:
    outcomes = [True] * 3 + [False] * 7
    true = 1 - sum(not any(outcomes[i] for i in chosen) for chosen in combinations(range(10), 4)) / comb(
        10, 4
    )
    assert pass_at_k(10, 3, 4) == pytest.approx(true)
    assert abs(1 - (1 - 0.3) ** 4 - true) > 0.05


@pytest.mark.parametrize("k", [0, 9])
def test_more_than_was_sampled_is_refused(k: int) -> None:
    with pytest.raises(ValueError, match="needs at least"):
        pass_at_k(8, 1, k)


def test_an_interval_holds_the_true_mean_nearly_always() -> None:
    rng = random.Random(5)
    held = 0
    for trial in range(200):
        found = bootstrap([float(rng.random() < 0.3) for _ in range(60)], seed=trial)
        held += found.low <= 0.3 <= found.high
    assert 180 <= held <= 200


def test_values_that_are_all_equal_leave_no_doubt() -> None:
    assert bootstrap([0.5, 0.5]) == (0.5, 0.5, 0.5)
    with pytest.raises(ValueError, match="at least one value"):
        bootstrap([])
