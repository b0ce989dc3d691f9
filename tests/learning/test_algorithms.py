"""Algorithms: who is compared with whom, and which advantages come of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.records import Arm, CaseResult, Group, GroupPlan, Judged, Status
from altlas_agent.learning.algorithms.build import build_algorithm
from altlas_agent.learning.algorithms.dapo import overlong
from altlas_agent.learning.loss.surrogate import Surrogate
from altlas_agent.settings.learners.algorithms import Algorithm as Kind
from altlas_agent.settings.learners.algorithms import Dapo, Grpo, Gspo, Reinforce, ReinforcePlus, Rloo
from altlas_agent.settings.learners.control import CreditSettings
from altlas_agent.settings.learning import LearningSettings
from tests.builders import make_judged, make_task

if TYPE_CHECKING:
    from altlas_agent.learning.algorithms.base import Algorithm, Annotated
    from altlas_agent.settings.section import Section

KINDS: tuple[Kind, ...] = (Grpo(), Dapo(), Gspo(), Rloo(), Reinforce(), ReinforcePlus())


def algorithm(kind: Kind, discount: float = 1.0) -> Algorithm[Section]:
    return build_algorithm(LearningSettings(algorithm=kind, credit=CreditSettings(discount=discount)))


def group(*judged: Judged, name: str = "add") -> Group:
    task = make_task(name)
    return Group(plan=GroupPlan(group=0, task=task, size=len(judged), first_number=1), judged=judged)


def judged(
    number: int,
    value: float,
    *,
    passed: int = 0,
    arm: Arm = Arm.POLICY,
    status: Status = Status.SUCCESS,
    tokens: int = 3,
) -> Judged:
    """An attempt that passed `passed` of 4 tests."""
    base = make_judged(number, score=value, solved=passed == 4, status=status)
    cases = tuple(CaseResult(passed=place < passed, hidden=place > 0) for place in range(4))
    replace = msgspec.structs.replace
    attempt = replace(base.attempt, arm=arm, tokens=(1,) * tokens, logps=(-0.5,) * tokens)
    return replace(base, attempt=attempt, outcome=replace(base.outcome, cases=cases))


def scored(*scores: float) -> list[Judged]:
    """Those with a score of 1 passed all tests, the others none."""
    return [judged(place, value, passed=4 if value == 1.0 else 0) for place, value in enumerate(scores)]


def alone(kind: Kind, made: Group) -> Annotated:
    (annotated,) = algorithm(kind).annotate([made])
    return annotated


def firsts(annotated: Annotated) -> list[float]:
    """What the first token of each attempt got, 0 for an attempt without."""
    return [row[0] if row else 0.0 for row in annotated.advantages]


@pytest.mark.parametrize(
    ("kind", "scores", "advantages"),
    [
        (Grpo(), (1.0, 0.0, 0.0, 1.0), (0.865875, -0.865875, -0.865875, 0.865875)),
        (Grpo(), (1.0, 0.0, 0.0, 0.0), (1.4997, -0.4999, -0.4999, -0.4999)),
        (Grpo(scale_rewards="none"), (1.0, 0.0, 0.0, 1.0), (0.5, -0.5, -0.5, 0.5)),
        (Rloo(), (1.0, 0.0, 0.0, 1.0), (2 / 3, -2 / 3, -2 / 3, 2 / 3)),
        (Rloo(), (1.0, 0.0, 0.0, 0.0), (1.0, -1 / 3, -1 / 3, -1 / 3)),
    ],
)
def test_advantages_equal_the_published_numbers(
    kind: Kind, scores: tuple[float, ...], advantages: tuple[float, ...]
) -> None:
    assert firsts(alone(kind, group(*scored(*scores)))) == pytest.approx(advantages, abs=1e-4)


def test_tokens_are_whitened_over_the_step_and_long_programs_count_more() -> None:
    lengths, scores = (2, 1, 1, 2), (1.0, 0.0, 0.0, 1.0)
    made = [
        judged(n, s, passed=int(4 * s), tokens=t)
        for n, (s, t) in enumerate(zip(scores, lengths, strict=True))
    ]
    rows = alone(ReinforcePlus(), group(*made)).advantages
    assert [len(row) for row in rows] == [2, 1, 1, 2]
    assert [row[0] for row in rows] == pytest.approx([0.6455, -1.2910, -1.2910, 0.6455], abs=1e-4)


def test_groups_of_one_teach_where_the_whole_step_is_compared() -> None:
    step = [group(judged(1, 1.0, passed=4), name="a"), group(judged(2, 0.0), name="b")]
    rows = [firsts(annotated)[0] for annotated in algorithm(ReinforcePlus()).annotate(step)]
    assert rows[0] == -rows[1] > 0
    assert [each.dropped for each in algorithm(Grpo()).annotate(step)] == [
        "fewer than two on-policy attempts were scored"
    ] * 2


def test_with_a_baseline_the_mean_of_the_group_goes_first() -> None:
    step = [
        group(*scored(1.0, 0.0), name="easy"),
        group(judged(3, 0.2), judged(4, 0.1, passed=1), name="hard"),
    ]
    easy, hard = algorithm(ReinforcePlus(group_baseline=True)).annotate(step)
    assert firsts(hard)[0] > 0 > firsts(hard)[1]
    assert firsts(easy)[0] == pytest.approx(10 * firsts(hard)[0])


def test_the_batch_scale_divides_by_the_spread_of_all_scores() -> None:
    step = [group(*scored(1.0, 0.0)), group(judged(3, 0.6, passed=1), judged(4, 0.4))]
    made = [firsts(each) for each in algorithm(Grpo(scale_rewards="batch")).annotate(step)]
    assert made[0][0] == pytest.approx(5 * made[1][0])


def test_reinforce_compares_with_the_past_of_the_task_and_takes_it_along() -> None:
    past = algorithm(Reinforce(decay=0.5))
    assert firsts(past.annotate([group(*scored(1.0, 0.0))])[0]) == [0.5, -0.5]
    assert firsts(past.annotate([group(judged(3, 1.0, passed=4))])[0]) == [0.5]
    later = algorithm(Reinforce(decay=0.5))
    later.state = past.state
    assert firsts(later.annotate([group(judged(5, 1.0, passed=4))])[0]) == [0.25]


def test_a_first_single_attempt_has_nothing_to_be_compared_with() -> None:
    assert alone(Reinforce(), group(judged(1, 0.5))).dropped == "all scores are equal"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_shaped_scores_alone_move_nothing_while_the_gate_is_on(kind: Kind) -> None:
    made = group(judged(1, 0.1), judged(2, 0.5), judged(3, 0.3))
    assert alone(kind, made).dropped == "nobody passed more tests than another"
    assert alone(kind.model_copy(update={"outcome_gate": False}), made).advantages


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_exploratory_attempts_get_no_advantage_and_do_not_shift_the_others(kind: Kind) -> None:
    own = [judged(1, 1.0, passed=4), judged(2, 0.0)]
    explored = judged(3, 1.0, passed=4, arm=Arm.GRAMMAR)
    assert alone(kind, group(*own, explored)).advantages == (*alone(kind, group(*own)).advantages, ())


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_a_fault_of_the_sandbox_is_never_learned_from(kind: Kind) -> None:
    made = group(judged(1, 1.0, passed=4), judged(2, 0.0, status=Status.INTERNAL), judged(3, 0.0))
    assert alone(kind, made).advantages[1] == ()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.type)
def test_groups_that_cannot_teach_say_why(kind: Kind) -> None:
    gate_off = kind.model_copy(update={"outcome_gate": False})
    assert "attempt" in alone(gate_off, group()).dropped
    assert alone(gate_off, group(*scored(0.1, 0.1, 0.1))).dropped == "all scores are equal"
    assert alone(kind, group(judged(1, math.nan), judged(2, 1.0))).dropped == "the score of attempt 1 is nan"
    long = group(judged(1, 1.0, passed=4, tokens=25), judged(2, 0.0))
    assert alone(kind, long).dropped == "attempt 1 has 25 tokens, more than the 24 of its task"


def test_dynamic_sampling_is_decided_before_the_length_is_judged() -> None:
    made = group(judged(1, 0.5, tokens=24), judged(2, 0.5, tokens=3))
    priced = Dapo(outcome_gate=False, overlong_price=0.5)
    assert alone(priced, made).dropped == "all scores are equal"
    short_is_better = firsts(alone(priced.model_copy(update={"dynamic_sampling": False}), made))
    assert short_is_better[0] < 0 < short_is_better[1]


@pytest.mark.parametrize(("length", "price"), [(80, 0.0), (90, -0.5), (100, -1.0), (101, -1.0)])
def test_the_price_of_length_equals_the_published_numbers(length: int, price: float) -> None:
    assert overlong(length, 100, 20) == price


@pytest.mark.parametrize("kind", KINDS[:5], ids=lambda kind: kind.type)
def test_a_discount_leaves_less_for_the_tokens_before_the_last(kind: Kind) -> None:
    (annotated,) = algorithm(kind, discount=0.5).annotate([group(*scored(1.0, 0.0))])
    last = annotated.advantages[0][-1]
    assert annotated.advantages[0] == (last / 4, last / 2, last)


def test_each_algorithm_brings_its_loss() -> None:
    losses = {kind.type: algorithm(kind).surrogate for kind in KINDS}
    assert losses == {
        "grpo": Surrogate(token_budget=24),
        "dapo": Surrogate(aggregation="dapo", clip_high=0.28),
        "gspo": Surrogate(level="sequence", aggregation="grpo", clip_low=3e-4, clip_high=4e-4),
        "rloo": Surrogate(level="sum", aggregation="grpo"),
        "reinforce": Surrogate(kind="plain"),
        "reinforce_pp": Surrogate(aggregation="dapo"),
    }
