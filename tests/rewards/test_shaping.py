"""What becomes of scores in the order of their attempts: off unless asked for, and never against the outcome."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.records import (
    Arm,
    Attempt,
    CaseResult,
    Group,
    GroupPlan,
    Judged,
    Outcome,
    Score,
    Status,
)
from altlas_agent.core.states import ShapingState
from altlas_agent.rewards.combining import FORM_SHARE, NOVELTY, START, UNPARSED, UNSOLVED_CEILING
from altlas_agent.rewards.shaping import form_share, shape, unshaped
from altlas_agent.settings.rewards import RewardSettings, ShapingSettings
from tests.rewards.conftest import double

EVERYTHING: dict[str, object] = {
    "weights": {"novelty": 0.2},
    "shaping": {
        "schedule": True,
        "plateau_gain": 3.0,
        "plateau_groups": 2,
        "normalize": True,
        "duplicate_price": 0.5,
    },
}
NEW = ShapingState()
SCORES = st.lists(
    st.tuples(st.floats(0, 0.95), st.booleans(), st.sampled_from("abc")), min_size=1, max_size=8
)


def settings(**shaping: object) -> RewardSettings:
    return RewardSettings.model_validate({"shaping": shaping})


def judged(
    number: int, value: float, *, solved: bool = False, fingerprint: str = "", **outcome: object
) -> Judged:
    attempt = Attempt(
        number=number, group=1, task_id="t/double", code="x", tokens=(1,), logps=(0.0,), policy_version=0,
        arm=Arm.POLICY,
    )  # fmt: skip
    shown = Outcome(status=Status.SUCCESS, cases=(CaseResult(passed=solved, hidden=False),))
    parts = {"tests": float(solved), "status": 1.0, "output": value, "constraints": 1.0, "length": 0.5}
    return Judged(
        attempt=attempt,
        outcome=msgspec.structs.replace(shown, **outcome),
        score=Score(value=1.0 if solved else value, parts=parts, solved=solved),
        fingerprint=fingerprint or str(number),
    )


def group(*attempts: Judged) -> Group:
    return Group(plan=GroupPlan(group=1, task=double(), size=len(attempts), first_number=1), judged=attempts)


def values(shaped: Group) -> list[float]:
    return [each.score.value for each in shaped.judged]


def test_nothing_changes_as_it_comes() -> None:
    before = group(judged(1, 0.5), judged(2, 0.2))
    after = shape(before, NEW, RewardSettings(), 0.5)
    assert after.group is before
    assert after.state is NEW


def test_a_duplicate_pays_more_each_time_and_the_first_nothing() -> None:
    made = shape(
        group(*(judged(n, 0.5, fingerprint="f") for n in (1, 2, 3))), NEW, settings(duplicate_price=0.6), 0
    )
    assert values(made.group) == pytest.approx([0.5, 0.5 * 0.7, 0.5 * 0.6])
    again = shape(group(judged(4, 0.5, fingerprint="f")), made.state, settings(duplicate_price=0.6), 0)
    assert values(again.group) == pytest.approx([0.5 * (1 - 0.6 * 0.75)])


def test_a_solution_proposed_again_stays_above_everything_unsolved() -> None:
    rules = settings(duplicate_price=1.0)
    made = shape(group(*(judged(n, 1, solved=True, fingerprint="f") for n in range(1, 50))), NEW, rules, 0)
    assert values(made.group)[0] == 1.0
    assert min(values(made.group)) > UNSOLVED_CEILING


def test_novelty_weighs_like_any_scorer() -> None:
    rules = RewardSettings.model_validate({"weights": {"novelty": 1.1}})
    made = shape(group(judged(1, 0.4, fingerprint="f"), judged(2, 0.4, fingerprint="f")), NEW, rules, 0)
    assert values(made.group) == pytest.approx([(0.4 + 1.0) / 2, (0.4 + 0.5) / 2])
    assert [each.score.parts[NOVELTY] for each in made.group.judged] == [1.0, 0.5]


@pytest.mark.parametrize(("solved_share", "share"), [(0.0, 1.0), (0.25, 0.85355), (0.5, 0.5), (1.0, 0.0)])
def test_the_share_of_the_form_falls_as_a_cosine(solved_share: float, share: float) -> None:
    rules = ShapingSettings(schedule=True, form_first=1.0, form_last=0.0, schedule_end=1.0)
    assert form_share(double(), rules, solved_share) == pytest.approx(share, abs=1e-5)


def test_a_harder_task_stays_longer_with_the_form() -> None:
    hard = msgspec.structs.replace(double(), difficulty=4.0)
    rules = ShapingSettings(schedule=True)
    assert form_share(hard, rules, 0.3) > form_share(double(), rules, 0.3)


def test_what_does_not_parse_means_nothing() -> None:
    rules = settings(schedule=True, form_first=0.0, form_last=0.0)
    made = shape(group(judged(1, 0.5), judged(2, 0.5, violations=(UNPARSED,))), NEW, rules, 0)
    assert values(made.group)[0] > 0.0
    assert values(made.group)[1] == 0.0


def test_a_score_that_other_instances_cut_stays_cut_by_the_schedule() -> None:
    rules = settings(schedule=True)
    whole = judged(1, 1.0, solved=True)
    cut = msgspec.structs.replace(whole, score=Score(value=0.95 / 4, parts=whole.score.parts))
    assert values(shape(group(cut), NEW, rules, 0).group)[0] <= 0.95 / 4 + 1e-9


def test_on_a_plateau_differences_grow() -> None:
    rules, state = settings(plateau_gain=2.0, plateau_groups=2), NEW
    gaps: list[float] = []
    for _ in range(6):
        made = shape(group(judged(1, 0.4), judged(2, 0.6)), state, rules, 0)
        low, high = values(made.group)
        gaps.append(round(high - low, 6))
        state = made.state
    assert gaps == [0.2, 0.2, 0.2, 0.3, 0.4, 0.4]


def test_scores_are_placed_by_the_running_mean_of_their_task() -> None:
    rules = settings(normalize=True)
    state = shape(group(judged(1, 0.2), judged(2, 0.4)), NEW, rules, 0).state
    low, mean, high = values(shape(group(*(judged(n, n / 10) for n in (2, 3, 4))), state, rules, 0).group)
    assert mean == pytest.approx(UNSOLVED_CEILING / 2)
    assert 0.0 < low < mean < high < UNSOLVED_CEILING


def test_tasks_are_remembered_apart() -> None:
    rules = settings(duplicate_price=1.0)
    state = shape(group(judged(1, 0.5, fingerprint="f")), NEW, rules, 0).state
    other = msgspec.structs.replace(double(), name="other")
    elsewhere = msgspec.structs.replace(group(judged(2, 0.5, fingerprint="f")), plan=GroupPlan(
        group=2, task=other, size=1, first_number=2
    ))  # fmt: skip
    assert values(shape(elsewhere, state, rules, 0).group) == [0.5]


def test_every_step_leaves_the_score_that_came_of_it() -> None:
    made = shape(group(judged(1, 0.5)), NEW, RewardSettings.model_validate(EVERYTHING), 0.1)
    parts = made.group.judged[0].score.parts
    assert list(parts)[5:] == [
        *(NOVELTY, FORM_SHARE, START),
        *("shaped.schedule", "shaped.novelty", "shaped.plateau", "shaped.normal", "shaped.price"),
    ]
    assert parts[START] == 0.5
    assert parts["shaped.price"] == made.group.judged[0].score.value


def test_what_the_sandbox_failed_on_has_no_score_and_is_not_remembered() -> None:
    broken = judged(1, 0.0, status=Status.INTERNAL)
    nonsense = judged(2, math.nan)
    made = shape(group(broken, nonsense), NEW, RewardSettings.model_validate(EVERYTHING), 0)
    assert made.group.judged[0] == broken
    assert made.group.judged[1] is nonsense
    assert made.state.tasks["t/double"].seen == {}
    assert made.state.tasks["t/double"].groups == 0


@given(st.lists(SCORES, min_size=1, max_size=4), st.floats(0, 1))
def test_shaping_keeps_scores_in_bounds_and_solutions_on_top(
    batches: list[list[tuple[float, bool, str]]], solved_share: float
) -> None:
    rules, state = RewardSettings.model_validate(EVERYTHING), NEW
    for batch in batches:
        attempts = [judged(n, v, solved=s, fingerprint=f) for n, (v, s, f) in enumerate(batch)]
        made = shape(group(*attempts), state, rules, solved_share)
        state = made.state
        for each in made.group.judged:
            assert all(0.0 <= part <= 1.0 for part in each.score.parts.values())
            assert (
                (each.score.value >= UNSOLVED_CEILING)
                if each.score.solved
                else (0.0 <= each.score.value <= UNSOLVED_CEILING)
            )


@given(st.lists(SCORES, min_size=1, max_size=3))
def test_shaping_again_what_was_shaped_is_the_same(batches: list[list[tuple[float, bool, str]]]) -> None:
    """A run that goes on from a checkpoint meets stored attempts, whose scores are shaped."""
    rules, state = RewardSettings.model_validate(EVERYTHING), NEW
    for batch in batches:
        plain = group(*(judged(n, v, solved=s, fingerprint=f) for n, (v, s, f) in enumerate(batch)))
        once = shape(plain, state, rules, 0.2)
        assert shape(once.group, state, rules, 0.2) == once
        assert tuple(map(unshaped, once.group.judged)) == plain.judged
        state = msgspec.msgpack.decode(msgspec.msgpack.encode(once.state), type=ShapingState)
        assert state == once.state
