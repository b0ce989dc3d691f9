"""What is regulated from step to step: entropy bonus, learning rate, length of gradients."""

from __future__ import annotations

import math

import msgspec
import pytest

from altlas_agent.core.records import Arm, Fault, Group, GroupPlan, Judged, ToolFeedback
from altlas_agent.core.states import ControlState, EntropyState, NormState, PaceState, StudentState
from altlas_agent.learning.control import entropy, pace, zclip
from altlas_agent.learning.schedules import Schedules, reading_of
from altlas_agent.settings.learners.control import EntropySettings, PaceSettings, ZclipSettings
from altlas_agent.settings.learning import LearningSettings
from tests.builders import make_judged, make_task


def attempt(number: int, *, score: float = 0.0, fault: Fault = Fault.NONE, arm: Arm = Arm.POLICY) -> Judged:
    base = make_judged(number, score=score, solved=score == 1.0)
    replace = msgspec.structs.replace
    feedback = ToolFeedback(fault=fault, severity=0.5)
    return replace(base, attempt=replace(base.attempt, arm=arm), feedback=feedback)


def group(*judged: Judged) -> Group:
    return Group(plan=GroupPlan(group=0, task=make_task(), size=len(judged), first_number=1), judged=judged)


def test_the_bonus_falls_in_a_line_with_the_success_rate() -> None:
    settings = EntropySettings(control="success", lowest=0.01, highest=0.05)
    made = [entropy.coefficient(settings, EntropyState(success=rate), 0.3) for rate in (0.0, 0.5, 1.0)]
    assert made == pytest.approx([0.05, 0.03, 0.01])
    assert entropy.coefficient(settings, EntropyState(), 0.3) == 0.3


def test_the_bonus_grows_below_the_target_by_the_published_step() -> None:
    settings = EntropySettings(control="target", target=0.2)
    state = entropy.after_step(settings, EntropyState(), 0.01, 0.15)
    assert entropy.coefficient(settings, state, 0.01) == pytest.approx(0.015)


def test_above_the_target_the_bonus_shrinks_and_is_not_paid() -> None:
    settings = EntropySettings(control="target", target=0.2)
    state = entropy.after_step(settings, EntropyState(coefficient=0.02), 0.01, 0.3)
    assert state.coefficient == pytest.approx(0.015)
    assert entropy.coefficient(settings, state, 0.01) == 0.0
    assert entropy.after_step(settings, EntropyState(coefficient=0.001), 0.01, 0.3).coefficient == 0.0


def test_the_rate_falls_while_the_score_does_not_rise_and_comes_back_when_it_does() -> None:
    settings = PaceSettings(by_score=True, patience_steps=3)
    state = PaceState()
    shares: list[float] = []
    for score in (0.2,) * 8 + (0.9,) * 2:
        state = pace.observed(settings, state, score, 0.0)
        shares.append(pace.rate_share(settings, state))
    assert shares == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.5, 1.0]


def test_the_rate_never_falls_below_its_least_share() -> None:
    settings = PaceSettings(by_score=True, patience_steps=1, least_share=0.2)
    state = PaceState()
    for _ in range(9):
        state = pace.observed(settings, state, 0.2, 0.0)
    assert pace.rate_share(settings, state) == 0.2


def test_programs_that_break_down_raise_the_rate() -> None:
    settings = PaceSettings(fault_boost=0.5)
    assert pace.rate_share(settings, pace.observed(settings, PaceState(), 0.0, 0.25)) == 1.125


def test_a_spike_is_shortened_to_the_published_length() -> None:
    settings = ZclipSettings(enabled=True)
    assert zclip.limit(settings, NormState(mean=1.0, variance=0.01), 2.0) == pytest.approx(1.0625, abs=1e-5)
    assert zclip.limit(settings, NormState(mean=1.0, variance=0.01), 1.2) == math.inf


def test_the_first_lengths_give_mean_and_variance_and_later_ones_move_them() -> None:
    settings = ZclipSettings(enabled=True, warmup_steps=2, decay=0.5)
    state = zclip.observed(settings, zclip.observed(settings, NormState(), 1.0), 3.0)
    assert state == NormState(mean=2.0, variance=1.0)
    assert zclip.observed(settings, state, 4.0) == NormState(mean=3.0, variance=1.0)
    assert zclip.limit(settings, NormState(first=(1.0,)), 99.0) == math.inf


def test_a_spike_does_not_make_the_next_one_usual() -> None:
    schedules = Schedules(
        LearningSettings(clip_norm=100.0, zclip=ZclipSettings(enabled=True, warmup_steps=25))
    )
    for step in range(40):
        schedules.stepped(1.0, 1.0 + 0.1 * (step % 2))
    before = schedules.norm_limit(50.0)
    schedules.stepped(1.0, 50.0)
    assert schedules.norm_limit(50.0) < 1.2 * before < 2.0


def test_by_default_nothing_is_regulated() -> None:
    schedules = Schedules(LearningSettings())
    schedules.observe([group(attempt(1, fault=Fault.SYNTAX), attempt(2, score=1.0))])
    schedules.stepped(0.1, 9.0)
    assert schedules.entropy_coefficient() == LearningSettings().entropy_coef
    assert schedules.rate_share() == 1.0
    assert schedules.norm_limit(1e6) == LearningSettings().clip_norm
    assert schedules.figures() == {}


def test_only_attempts_of_the_policy_itself_are_read() -> None:
    own = [attempt(1, score=1.0), attempt(2, fault=Fault.NAME), attempt(3, fault=Fault.WRONG_ANSWER)]
    explored = attempt(4, score=1.0, arm=Arm.GRAMMAR)
    assert reading_of([group(*own, explored)]) == pytest.approx((1 / 3, 1 / 3, 1 / 3))
    assert reading_of([group(explored)]) is None


def test_a_state_from_before_these_parts_is_read() -> None:
    chance = {"version": 3, "words": [1]}
    old = {
        "version": 3,
        "chance": chance,
        "replay": {"solutions": []},
        "explorer": {"chance": chance},
        "parts": 2,
    }
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=StudentState)
    assert state.control == ControlState()
    assert state.algorithm.baselines == {}
