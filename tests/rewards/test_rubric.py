"""A score tells what it is made of, is full for a solution only, and never leaves 0..1."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
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


TEXTS = st.text(max_size=40) | st.sampled_from(
    [
        "\ud800",
        "def double(x):\n    return x * 2\n",
        "(" * 9_000,
        "x" * 300_000,
        '{"solved": true, "value": 1.0}',
        "\x00",
    ]
)
ALL = dict.fromkeys(SCORERS, 1.0)


@given(code=TEXTS, language=st.sampled_from(["python", "javascript"]), got=st.text(max_size=9))
@settings(deadline=None)
def test_every_part_is_a_share_whatever_was_written(code: str, language: str, got: str) -> None:
    cases = (CaseResult(passed=False, hidden=False, got=got),)
    task = msgspec.structs.replace(double(language=language), reference="x = (")
    evidence = Evidence(
        task=task, code=code, outcome=Outcome(status=Status.SUCCESS, cases=cases), closeness=0.0
    )
    made = score(evidence, ALL)
    assert set(made.parts) == set(SCORERS)
    assert all(0.0 <= part <= 1.0 for part in made.parts.values())
    assert not made.solved


@given(st.permutations(sorted(SCORERS)), st.dictionaries(st.sampled_from(sorted(SCORERS)), st.floats(0, 9)))
def test_the_order_of_the_weights_changes_nothing(order: list[str], weights: dict[str, float]) -> None:
    permuted = {name: weights[name] for name in order if name in weights}
    assert score_of(HALF, weights=permuted) == score_of(HALF, weights=weights)


@given(
    unsolved=st.lists(st.booleans(), min_size=1, max_size=5),
    near=st.floats(0, 1),
    weights=st.dictionaries(st.sampled_from(sorted(SCORERS)), st.floats(0, 9)),
)
def test_a_solution_never_scores_less_than_what_is_none(
    unsolved: list[bool], near: float, weights: dict[str, float]
) -> None:
    cases = tuple(CaseResult(passed=each, hidden=False) for each in [*unsolved, False])
    other = score_of(Outcome(status=Status.SUCCESS, cases=cases), near=near, weights=weights)
    assert score_of(SOLVED, near=1.0, weights=weights).value > other.value


def test_a_scorer_that_costs_time_is_measured_while_it_counts() -> None:
    assert "syntax" not in score_of(HALF).parts
    assert score_of(HALF, weights={"syntax": 1.0}).parts["syntax"] == 1.0


def test_the_default_weights_score_as_before() -> None:
    """0.7 tests, 0.1 status, 0.15 output, 0.1 constraints and 0.05 length: runs of one seed stay the same."""
    parts = {"tests": 0.5, "status": 1.0, "output": 0.25, "constraints": 1.0, "length": 0.5}
    old = {"tests": 0.7, "status": 0.1, "output": 0.15, "constraints": 0.1, "length": 0.05}
    mean = sum(old.get(name, 0.0) * value for name, value in parts.items()) / sum(old.values())
    assert score_of(HALF, near=0.25).value == mean
