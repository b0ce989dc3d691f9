"""How new a program is, and how varied texts are, by the numbers of those who defined the measures."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.rewards.scorers.novelty import distinct_n, novelty, remember, self_bleu, vendi

TEXTS = st.lists(st.lists(st.sampled_from("abc"), max_size=8), max_size=5)


def test_each_proposal_makes_a_program_less_new() -> None:
    assert [novelty(times) for times in range(3)] == [1.0, 0.5, pytest.approx(1 / 3)]


def test_what_was_forgotten_longest_ago_goes_first() -> None:
    seen: dict[str, int] = {}
    for name in "abac":
        remember(seen, name, 2)
    assert seen == {"a": 2, "c": 1}


def test_distinct_n_of_a_text_that_repeats_itself() -> None:
    assert distinct_n([["a", "b", "a", "b"]], 2) == pytest.approx(2 / 3)
    assert distinct_n([[]], 2) == 0.0


def test_texts_that_say_the_same_have_a_self_bleu_of_1() -> None:
    assert self_bleu([["a", "b", "c"]] * 3) == pytest.approx(1.0)
    assert self_bleu([["a", "b", "c"], ["d", "e", "f"]]) < 0.1
    assert self_bleu([["a"]]) == 0.0


@pytest.mark.parametrize(
    ("likeness", "things"),
    [
        ([[1, 0, 0], [0, 1, 0], [0, 0, 1]], 3.0),
        ([[1, 1, 1]] * 3, 1.0),
        ([[1, 1, 0], [1, 1, 0], [0, 0, 1]], 1.88988),
    ],
)
def test_vendi_counts_what_is_different(likeness: list[list[float]], things: float) -> None:
    assert vendi(likeness) == pytest.approx(things, abs=1e-5)


@given(TEXTS)
def test_measures_of_diversity_are_shares(texts: list[list[str]]) -> None:
    assert 0.0 <= distinct_n(texts, 2) <= 1.0
    assert 0.0 <= self_bleu(texts) <= 1.0 + 1e-9


@given(st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1)), min_size=1, max_size=6))
def test_vendi_lies_between_one_and_all(points: list[tuple[float, float]]) -> None:
    matrix = [[math.cos(a[0] * 3 - b[0] * 3) ** 2 for b in points] for a in points]
    assert 1.0 - 1e-6 <= vendi(matrix) <= len(points) + 1e-6
