"""How near a program is to the words of its task and to its reference, by what both are made of."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.rewards.scorers.similarity import likeness, to_description, to_reference
from tests.rewards.conftest import double

PYTHON = "def double(x):\n    return x * 2\n"
JAVASCRIPT = "function double(y) { return y * 2 }"
FEATURES = st.frozensets(st.sampled_from("abcdef"))


@pytest.mark.parametrize(("language", "code"), [("python", PYTHON), ("javascript", JAVASCRIPT)])
def test_a_program_of_what_the_words_ask_for_is_nearest(language: str, code: str) -> None:
    task = double(language=language)
    assert to_description(task, code) == 1.0
    assert to_description(task, code.replace("*", "-")) < 1.0
    assert to_description(task, code.replace("2", "7")) < 1.0


def test_writing_everything_down_does_not_pay() -> None:
    task = double()
    greedy = PYTHON + "for i in [1]:\n    x = i + 1 - 2 / 3 % 4 > 5 < 6 == 7\n    if x: print(x)\n"
    assert to_description(task, greedy) < to_description(task, PYTHON)


def test_the_reference_itself_is_nearest_under_any_names() -> None:
    task = msgspec.structs.replace(double(), reference=PYTHON)
    assert to_reference(task, PYTHON.replace("x", "other")) == 1.0
    assert to_reference(task, "print(1)") < 0.5


def test_a_task_without_a_reference_is_near_to_nothing() -> None:
    assert to_reference(double(), PYTHON) == 0.0


@pytest.mark.parametrize("code", ["def (", "\ud800", "x" * 1_000_000])
def test_what_is_no_program_is_near_to_nothing(code: str) -> None:
    task = msgspec.structs.replace(double(), reference=PYTHON)
    assert to_description(task, code) == to_reference(task, code) == 0.0


@given(FEATURES, FEATURES)
def test_likeness_is_a_symmetric_share_and_1_for_the_same_only(
    one: frozenset[str], other: frozenset[str]
) -> None:
    assert 0.0 <= likeness(one, other) == likeness(other, one) <= 1.0
    assert (likeness(one, other) == 1.0) == (one == other)
