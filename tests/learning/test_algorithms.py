"""Group-relative advantages."""

from __future__ import annotations

import msgspec
import pytest

from altlas_agent.core.records import Arm, CaseResult, Group, GroupPlan, Judged, Status
from altlas_agent.learning.algorithms.grpo import Grpo
from altlas_agent.settings.learning import Grpo as GrpoSettings
from tests.builders import make_judged, make_task


def group(*judged: Judged) -> Group:
    return Group(plan=GroupPlan(group=0, task=make_task(), size=len(judged), first_number=1), judged=judged)


def judged(
    number: int, value: float, *, passed: int = 0, arm: Arm = Arm.POLICY, status: Status = Status.SUCCESS
) -> Judged:
    """An attempt that passed `passed` of 4 tests."""
    base = make_judged(number, score=value, solved=passed == 4, status=status)
    cases = tuple(CaseResult(passed=place < passed, hidden=place > 0) for place in range(4))
    replace = msgspec.structs.replace
    return replace(base, attempt=replace(base.attempt, arm=arm), outcome=replace(base.outcome, cases=cases))


@pytest.mark.parametrize(
    ("scores", "advantages"),
    [
        ((1.0, 0.0, 0.0, 1.0), (0.865875, -0.865875, -0.865875, 0.865875)),
        ((1.0, 0.0, 0.0, 0.0), (1.4997, -0.4999, -0.4999, -0.4999)),
    ],
)
def test_advantages_equal_the_published_numbers(
    scores: tuple[float, ...], advantages: tuple[float, ...]
) -> None:
    made = [judged(place, value, passed=4 if value == 1.0 else 0) for place, value in enumerate(scores)]
    assert Grpo(GrpoSettings()).annotate(group(*made)).advantages == pytest.approx(advantages, abs=1e-4)


def test_shaped_scores_alone_move_nothing_while_the_gate_is_on() -> None:
    made = group(judged(1, 0.1), judged(2, 0.5), judged(3, 0.3))
    assert Grpo(GrpoSettings()).annotate(made).dropped == "nobody passed more tests than another"
    assert Grpo(GrpoSettings(outcome_gate=False)).annotate(made).advantages


def test_exploratory_attempts_get_no_advantage_and_do_not_shift_the_others() -> None:
    own = [judged(1, 1.0, passed=4), judged(2, 0.0)]
    explored = judged(3, 1.0, passed=4, arm=Arm.GRAMMAR)
    alone = Grpo(GrpoSettings()).annotate(group(*own)).advantages
    beside = Grpo(GrpoSettings()).annotate(group(*own, explored)).advantages
    assert beside == (*alone, 0.0)


def test_a_fault_of_the_sandbox_is_never_learned_from() -> None:
    made = group(judged(1, 1.0, passed=4), judged(2, 0.0, status=Status.INTERNAL), judged(3, 0.0))
    assert Grpo(GrpoSettings()).annotate(made).advantages[1] == 0.0


def test_without_scaling_the_advantage_is_the_distance_from_the_mean() -> None:
    made = group(judged(1, 1.0, passed=4), judged(2, 0.0))
    assert Grpo(GrpoSettings(scale_rewards=False)).annotate(made).advantages == (0.5, -0.5)
