"""Why an attempt has its score: numbers that add up, and the reasons in words."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.records import Case, CaseResult, Outcome, Score, Status
from altlas_agent.core.states import ShapingState
from altlas_agent.rewards.combining import UNSOLVED_CEILING
from altlas_agent.rewards.explain import Explanation, Facts, explain, weights_of
from altlas_agent.rewards.rubric import SCORERS, Evidence, score
from altlas_agent.rewards.shaping import shape
from altlas_agent.settings.rewards import RewardSettings
from altlas_agent.settings.run import Settings
from tests.rewards.conftest import WEIGHTS, double
from tests.rewards.test_shaping import EVERYTHING, group, judged

ALL_WEIGHTS = dict.fromkeys(SCORERS, 1.0)
FAILED = Outcome(
    status=Status.ERROR,
    cases=(
        CaseResult(passed=True, hidden=False, got="4"),
        CaseResult(passed=False, hidden=True, got="9"),
        CaseResult(passed=False, hidden=True),
    ),
    violations=("operator * is required",),
    stderr="Traceback\nTypeError: no",
)
CODE = "def double(x):\n    return 9\n"


def explained(
    outcome: Outcome = FAILED, *, weights: dict[str, float] = ALL_WEIGHTS, code: str = CODE
) -> Explanation:
    task = double()
    made = score(Evidence(task=task, code=code, outcome=outcome, closeness=0.5), weights)
    return explain(Facts(code=code, outcome=outcome, score=made, task=task, weights=weights))


def why(told: Explanation, scorer: str) -> str:
    return next(part.why for part in told.parts if part.scorer == scorer)


def test_contributions_add_up_to_the_score() -> None:
    told = explained()
    assert math.fsum(part.contribution or 0.0 for part in told.parts) == pytest.approx(told.score)
    assert told.changes == ()


def test_each_test_says_what_came_and_how_near_it_was() -> None:
    told = explained()
    assert [answer.why for answer in told.answers] == [
        "passed",
        "gave 9, expected 10, 0.82 near",
        "no answer, expected -6",
    ]


def test_the_scorers_say_what_they_saw() -> None:
    told = explained()
    assert told.why == "not solved: 2 of 3 tests failed; the program ended with error; operator * is required"
    assert why(told, "tests") == "1 of 3 tests passed; not 2 (hidden), 3 (hidden)"
    assert why(told, "status") == "it ended with error: TypeError: no"
    assert why(told, "constraints") == "operator * is required"
    assert why(told, "execution") == "2 of 3 tests got an answer"
    assert why(told, "syntax") == "it parses"
    assert why(explained(code="def ("), "syntax").startswith("it does not parse after")


def test_a_solution_says_that_its_parts_do_not_matter() -> None:
    passed = tuple(CaseResult(passed=True, hidden=True, got="1") for _ in range(3))
    told = explained(Outcome(status=Status.SUCCESS, cases=passed))
    assert (told.solved, told.changes[-1].step, told.changes[-1].after) == (True, "solved", 1.0)


def test_the_ceiling_and_a_refuted_solution_are_steps() -> None:
    refused = Outcome(
        status=Status.SUCCESS,
        cases=(CaseResult(passed=True, hidden=True, got="1"),),
        violations=("does not solve the instance t/sum#train-5",),
    )
    made = Score(value=UNSOLVED_CEILING / 2, parts={"tests": 1.0})
    told = explain(Facts(code="", outcome=refused, score=made, weights={"tests": 1.0}))
    assert [(each.step, each.after) for each in told.changes] == [
        ("ceiling", UNSOLVED_CEILING),
        ("instances", UNSOLVED_CEILING / 2),
    ]
    assert "t/sum#train-5" in told.changes[-1].why


def test_every_step_of_shaping_is_told_in_its_order() -> None:
    rules, state = RewardSettings.model_validate(EVERYTHING), ShapingState()
    state = shape(group(judged(1, 0.5, fingerprint="f")), state, rules, 0.1).state
    facts = shape(group(judged(1, 0.5, fingerprint="f")), state, rules, 0.1).group.judged[0]
    told = explain(
        Facts(code="", outcome=facts.outcome, score=facts.score, weights=rules.weights.model_dump())
    )
    steps = [change for change in told.changes if change.step != "instances"]
    assert [each.step for each in steps] == ["schedule", "novelty", "plateau", "normal", "price"]
    assert steps[-1].after == told.score
    assert steps[0].why.startswith("the form of a program counted 7")
    assert steps[-1].why == "price of a duplicate: proposed 1 time before for this task"


def test_the_weights_are_those_of_the_settings_of_the_run() -> None:
    assert weights_of(Settings().model_dump_json()) == WEIGHTS
    assert weights_of('{"run": {"seed": 7}}') is None
    assert weights_of("no settings") is None


def test_without_weights_or_task_what_is_known_is_told() -> None:
    told = explain(
        Facts(code=CODE, outcome=FAILED, score=Score(value=0.3, parts={"tests": 1 / 3, "older": 0.5}))
    )
    assert [(part.scorer, part.weight, part.contribution) for part in told.parts] == [
        ("tests", None, None),
        ("older", None, None),
    ]
    assert told.answers[1].near is None


GOT = st.sampled_from(
    [
        '"\\ud800"',
        "NaN",
        "1e999",
        "[" * 5_000,
        "[" * 20 + "]" * 20,
        '{"passed":true}',
        "9" * 5_000,
        "\ud800",
        "\x00",
    ]
)


@given(got=st.lists(GOT, min_size=1, max_size=3), expected=GOT)
def test_hostile_answers_are_explained(got: list[str], expected: str) -> None:
    cases = tuple(CaseResult(passed=False, hidden=False, got=each) for each in got)
    task = msgspec.structs.replace(double(), cases=tuple(Case(expected=expected) for _ in got))
    facts = Facts(
        code="\ud800",
        outcome=Outcome(status=Status.SUCCESS, cases=cases),
        score=Score(value=0.0, parts={}),
        task=task,
    )
    for answer in explain(facts).answers:
        assert answer.near is None or 0.0 <= answer.near <= 1.0
        assert len(answer.why) < 200
