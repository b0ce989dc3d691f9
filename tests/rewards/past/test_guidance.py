"""What failed decides how a task is explored next."""

from __future__ import annotations

import pytest

from altlas_agent.core.records import Arm, GroupPlan, Guidance
from altlas_agent.core.states import TaskFeedback
from altlas_agent.rewards.past.guidance import Trouble, guided, trouble_of
from altlas_agent.settings.learners.feedback import GuideSettings

PAST = TaskFeedback(
    groups=3,
    recent={"type": 5.0, "name": 2.0, "wrong_answer": 6.0, "timeout": 1.0},
    repeated=0.5,
    blamed={7: 0.25, 9: 3.0},
)


def test_without_a_past_or_with_nothing_on_nothing_changes() -> None:
    assert guided(None, GuideSettings(share_boost=1.0)) == Guidance()
    assert guided(PAST, GuideSettings()) == Guidance()


def test_repeated_failures_widen_exploration_by_their_share() -> None:
    found = guided(PAST, GuideSettings(share_boost=1.0, temperature_boost=0.4))
    assert found.share == pytest.approx(1.5)
    assert found.temperature == pytest.approx(1.2)
    assert (found.arms, found.penalties) == ({}, {})


@pytest.mark.parametrize(
    ("recent", "expected"),
    [
        ({"type": 5.0, "name": 2.0, "wrong_answer": 6.0}, Trouble.BROKEN),
        ({"timeout": 2.0, "memory": 2.0, "wrong_answer": 3.0}, Trouble.SLOW),
        ({"wrong_answer": 2.0, "constraint": 2.0, "type": 3.0}, Trouble.WRONG),
        ({}, None),
    ],
)
def test_the_commonest_kind_of_trouble_is_told(recent: dict[str, float], expected: Trouble | None) -> None:
    assert trouble_of(TaskFeedback(recent=recent)) is expected


def test_arms_follow_the_trouble_as_far_as_the_strength_says() -> None:
    assert guided(PAST, GuideSettings(arm_strength=1.0)).arms == {Arm.MUTATE: 2.0, Arm.FLAT: 0.5}
    assert guided(PAST, GuideSettings(arm_strength=0.5)).arms["mutate"] == pytest.approx(2.0**0.5)


def test_blamed_tokens_are_penalised_in_proportion_and_within_bounds() -> None:
    assert guided(PAST, GuideSettings(blame_penalty=2.0)).penalties == {7: pytest.approx(0.5), 9: 2.0}


def test_guidance_is_settled_in_the_plan_and_a_plan_has_none_by_itself() -> None:
    assert GroupPlan.__struct_defaults__[-1] == Guidance()
