"""A score tells what it is made of, is full for a solution only, and never leaves 0..1."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.errors import ScoringError
from altlas_agent.core.records import CaseResult, Outcome, Score, Status
from altlas_agent.rewards.combining import NOVELTY, UNSOLVED_CEILING
from altlas_agent.rewards.rubric import SCORERS, Evidence, score
from altlas_agent.settings.rewards import ScorerWeights
from tests.rewards.conftest import WEIGHTS, double

PASSED = CaseResult(passed=True, hidden=False)
FAILED = CaseResult(passed=False, hidden=True)
SOLVED = Outcome(status=Status.SUCCESS, cases=(PASSED, msgspec.structs.replace(PASSED, hidden=True)))
HALF = Outcome(status=Status.SUCCESS, cases=(PASSED, FAILED))


def score_of(outcome: Outcome, *, near: float = 0.5, weights: dict[str, float] = WEIGHTS) -> Score:
    return score(Evidence(task=double(), code="x" * 200, outcome=outcome, closeness=near), weights)


def test_the_breakdown_names_every_scorer() -> None:
    parts = score_of(HALF, near=0.25).parts
    assert parts == {"tests": 0.5, "status": 1.0, "output": 0.25, "constraints": 1.0, "length": 0.5}
    assert {*SCORERS, NOVELTY} == set(ScorerWeights.model_fields)


def test_the_value_is_the_weighted_mean() -> None:
    assert score_of(HALF, near=0.25, weights={"tests": 3, "output": 1}).value == pytest.approx(0.4375)


def test_a_scorer_of_weight_0_is_recorded_and_does_not_count() -> None:
    weights = {"tests": 1.0, "length": 0.0}
    made = score_of(HALF, weights=weights)
    assert made.value == 0.5
    assert made.parts["length"] == 0.5


def test_a_solution_scores_1_whatever_the_weights() -> None:
    assert score_of(SOLVED, near=1.0, weights={"length": 1.0}) == Score(
        value=1.0, parts=score_of(SOLVED, near=1.0).parts, solved=True
    )


@pytest.mark.parametrize(
    "outcome",
    [
        msgspec.structs.replace(SOLVED, cases=(PASSED, FAILED)),
        msgspec.structs.replace(SOLVED, cases=()),
        msgspec.structs.replace(SOLVED, violations=("operator + is required",)),
        msgspec.structs.replace(SOLVED, status=Status.TIMEOUT),
        msgspec.structs.replace(SOLVED, status=Status.ERROR),
    ],
)
def test_anything_less_than_a_solution_scores_below_1(outcome: Outcome) -> None:
    made = score_of(outcome, near=1.0, weights={"output": 1.0})
    assert not made.solved
    assert made.value == UNSOLVED_CEILING


@pytest.mark.parametrize("near", [-0.01, 1.01, math.nan, math.inf])
def test_a_part_outside_0_to_1_is_an_error_that_names_scorer_and_task(near: float) -> None:
    with pytest.raises(ScoringError, match=r"scorer 'output' gave .* for task t/double"):
        score_of(HALF, near=near)


@given(
    passed=st.lists(st.booleans(), max_size=6),
    near=st.floats(0, 1),
    status=st.sampled_from(Status),
    weights=st.dictionaries(st.sampled_from(sorted(SCORERS)), st.floats(0, 1e6)),
)
def test_every_score_is_a_share(
    passed: list[bool], near: float, status: Status, weights: dict[str, float]
) -> None:
    cases = tuple(CaseResult(passed=each, hidden=False) for each in passed)
    made = score_of(Outcome(status=status, cases=cases), near=near, weights=weights)
    assert 0.0 <= made.value <= 1.0
    assert (made.value == 1.0) == made.solved
