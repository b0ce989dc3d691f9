"""Which strategy draws an attempt: plain as settings come, and what each part makes of how a task goes."""

from __future__ import annotations

import msgspec
import pytest

from altlas_agent.core.nouns.tracks import StrategyState, TaskTrack
from altlas_agent.core.records import Arm, Beside, Group, GroupPlan, Judged, Status, Strategy
from altlas_agent.generation.strategy.choosing import beam_rows, for_arm, strategy_for
from altlas_agent.generation.strategy.observing import observed, tracked
from altlas_agent.settings.generation import GenerationSettings
from tests.builders import make_judged, make_task

PLAN = GroupPlan(group=1, task=make_task(), size=16, first_number=1)
KEY = PLAN.task.key


def generation(**parts: object) -> GenerationSettings:
    return GenerationSettings.model_validate(parts)


def state(**track: float) -> StrategyState:
    return StrategyState(tracks={KEY: msgspec.convert(track, TaskTrack)})


def group(*scores: float, tokens: list[tuple[int, ...]] | None = None, arm: Arm = Arm.POLICY) -> Group:
    judged = [make_judged(n, score=score) for n, score in enumerate(scores, 1)]
    programs = tokens or [(n,) for n in range(len(scores))]
    changed = [
        msgspec.structs.replace(
            each,
            attempt=msgspec.structs.replace(
                each.attempt, arm=arm, tokens=program, logps=(-0.5,) * len(program)
            ),
        )
        for each, program in zip(judged, programs, strict=True)
    ]
    return Group(plan=PLAN, judged=tuple(changed))


def test_as_settings_come_an_attempt_is_drawn_plainly() -> None:
    chosen = strategy_for(PLAN, state(score=0.9, repeats=1.0, stale=99), GenerationSettings())
    assert chosen == Strategy(name="plain", temperature=1.0, boost=8.0)
    assert chosen.is_told_whole
    assert not chosen.cuts
    assert not chosen.stops


@pytest.mark.parametrize(
    ("track", "temperature", "name"),
    [
        ({"score": 0.0}, 1.5, "hotter"),
        ({"score": 0.5}, 1.0, "plain"),
        ({"score": 1.0}, 0.5, "cooler"),
        ({"score": 0.5, "repeats": 1.0}, 3.0, "hotter"),
        ({"score": 1.0, "repeats": 0.5}, 1.0, "plain"),
    ],
)
def test_the_temperature_follows_the_score_and_rises_with_repetition(
    track: dict[str, float], temperature: float, name: str
) -> None:
    chosen = strategy_for(PLAN, state(**track), generation(heat={"by_score": 0.5, "by_repeats": 2.0}))
    assert (chosen.temperature, chosen.name) == (temperature, name)


def test_the_boost_falls_with_the_steps() -> None:
    settings = generation(require_boost=16.0, boost={"decay": "steps", "half_life": 10})
    factors = [
        strategy_for(PLAN, StrategyState(steps=steps), settings).boost for steps in (0, 10, 20, 10_000)
    ]
    assert factors == [16.0, 4.0, 2.0, 1.0]


def test_the_boost_falls_with_success() -> None:
    settings = generation(require_boost=16.0, boost={"decay": "success"})
    factors = [strategy_for(PLAN, state(score=score), settings).boost for score in (0.0, 0.5, 1.0)]
    assert factors == [16.0, 4.0, 1.0]


def test_a_hint_boosts_only_where_there_is_one() -> None:
    settings = generation(boost={"hint": 3.0})
    hinted = msgspec.structs.replace(PLAN, beside=Beside(hint="use a loop"))
    assert [strategy_for(plan, StrategyState(), settings).hint_boost for plan in (PLAN, hinted)] == [1.0, 3.0]


def test_the_exploratory_arms_are_neither_narrowed_nor_ended() -> None:
    settings = generation(
        cut={"top_k": 3}, push={"noise": 1.0, "repetition": 1.0}, stop={"repeats": 3}, flat_temperature=4.0
    )
    chosen = strategy_for(PLAN, StrategyState(), settings)
    flat, grammar, beam, search = (
        for_arm(arm, chosen, settings) for arm in (Arm.FLAT, Arm.GRAMMAR, Arm.BEAM, Arm.SEARCH)
    )
    assert flat == Strategy(name="flat", temperature=4.0, repetition=1.0, boost=8.0)
    assert grammar == Strategy(name="grammar", boost=8.0)
    assert beam == Strategy(name="beam", boost=8.0, beam=8)
    assert search is None


@pytest.mark.parametrize(
    ("track", "rest", "rows"),
    [
        ({"stale": 4}, 0, 4),
        ({"stale": 3}, 0, 0),
        ({"stale": 4}, 1, 0),
        ({"stale": 4, "certainty": 0.9}, 0, 0),
    ],
)
def test_a_beam_search_waits_until_a_task_is_stuck_and_would_help(
    track: dict[str, float], rest: int, rows: int
) -> None:
    settings = generation(beam={"share": 0.25, "after_groups": 4, "skew": 0.8})
    assert beam_rows(PLAN, msgspec.structs.replace(state(**track), rest=rest), settings) == rows
    assert beam_rows(msgspec.structs.replace(PLAN, explore=False), state(**track), settings) == 0


def test_a_group_that_betters_nothing_makes_its_task_staler() -> None:
    track = TaskTrack()
    for scores, stale in (((0.0, 0.0), 1), ((0.1, 0.0), 0), ((0.1, 0.1), 1), ((0.05, 0.0), 2)):
        track = tracked(track, group(*scores))
        assert track.stale == stale
    assert track.best == 0.1


def test_repetition_is_the_share_of_attempts_that_were_written_twice() -> None:
    same, other = (1, 2), (1, 3)
    assert tracked(TaskTrack(), group(0, 0, 0, tokens=[same] * 3)).repeats == 1.0
    assert tracked(TaskTrack(), group(0, 0, 0, tokens=[same, other, same])).repeats == 0.5
    assert tracked(TaskTrack(), group(0, 0, tokens=[same, other])).repeats == 0.0


def test_only_what_the_policy_wrote_itself_tells_how_sure_it_is() -> None:
    assert tracked(TaskTrack(), group(0.5, arm=Arm.GRAMMAR)) == TaskTrack(best=0.5)
    assert tracked(TaskTrack(), group(0.5)).certainty == pytest.approx(0.6065, abs=1e-3)


def test_what_the_sandbox_failed_at_says_nothing() -> None:
    failed = make_judged(1, score=0.0, status=Status.INTERNAL)
    assert tracked(TaskTrack(), Group(plan=PLAN, judged=(failed,))) == TaskTrack(stale=1)


def test_imbalance_is_observed_only_where_it_has_a_price() -> None:
    many: list[Judged] = [*group(*[0.0] * 8, tokens=[(41, 42)] * 8).judged]
    plan = Group(plan=PLAN, judged=tuple(many))
    assert observed(StrategyState(), [plan], GenerationSettings()).imbalance.batches == 0
    after = observed(StrategyState(rest=2), [plan], generation(push={"imbalance": 0.5}))
    assert (after.imbalance.batches, after.steps, after.rest) == (1, 1, 1)
