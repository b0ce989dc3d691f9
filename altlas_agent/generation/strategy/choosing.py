"""The strategy of an attempt, as a pure function of the plan, of what is remembered, and of the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.nouns.tracks import TaskTrack
from altlas_agent.core.records import Arm, Strategy

if TYPE_CHECKING:
    from altlas_agent.core.nouns.tracks import StrategyState
    from altlas_agent.core.records import GroupPlan
    from altlas_agent.settings.generation import GenerationSettings

_LOWEST, _HIGHEST = 0.05, 100.0
"""Temperatures beyond which nothing is gained."""


def strategy_for(plan: GroupPlan, state: StrategyState, settings: GenerationSettings) -> Strategy:
    """What draws the on-policy attempts of a group. Rounded, so that attempts can share it."""
    track = state.tracks.get(plan.task.key, TaskTrack())
    temperature = _temperature(track, settings)
    cut, push, stop = settings.cut, settings.push, settings.stop
    repeats = stop.repeats if stop.repeats > 1 else 0
    return Strategy(
        name=_name(temperature, settings.temperature),
        temperature=temperature,
        top_k=cut.top_k,
        top_p=cut.top_p,
        min_p=cut.min_p,
        noise=push.noise,
        repetition=push.repetition,
        imbalance=push.imbalance,
        boost=boost_left(plan.task.key, state, settings),
        text_boost=settings.boost.text,
        hint_boost=settings.boost.hint if plan.beside.hint else 1.0,
        stop_entropy=stop.entropy,
        stop_repeats=repeats,
        stop_after=stop.least if stop.entropy or repeats else 0,
    )


def for_arm(arm: Arm, chosen: Strategy, settings: GenerationSettings) -> Strategy | None:
    """The strategy of an arm in a group whose own attempts have the `chosen` one; None draws from no distribution.

    The exploratory arms keep what makes tokens likelier and leave out what narrows or ends a draw.
    """
    match arm:
        case Arm.POLICY:
            return chosen
        case Arm.FLAT:
            return _explorer(chosen, "flat", settings.flat_temperature)
        case Arm.BEAM:
            beam = _explorer(chosen, "beam", chosen.temperature)
            return msgspec.structs.replace(beam, repetition=0.0, beam=settings.beam.width)
        case Arm.GRAMMAR:
            return Strategy(name="grammar", boost=chosen.boost)
        case _:
            return None


def plain(boost: float, temperature: float) -> Strategy:
    """The policy as it is."""
    return Strategy(name="plain", temperature=temperature, boost=boost)


def boost_left(key: str, state: StrategyState, settings: GenerationSettings) -> float:
    """The factor on tokens that a task requires; its logarithm decays."""
    match settings.boost.decay:
        case "none":
            return settings.require_boost
        case "steps":
            share = 0.5 ** (state.steps / settings.boost.half_life)
        case "success":
            share = 1.0 - state.tracks.get(key, TaskTrack()).score
    return round(float(settings.require_boost**share), 3)


def beam_rows(plan: GroupPlan, state: StrategyState, settings: GenerationSettings) -> int:
    """How many attempts of a group a beam search makes: none unless its task is stuck, and it could help."""
    beam = settings.beam
    track = state.tracks.get(plan.task.key, TaskTrack())
    if not (beam.share and plan.explore and plan.size) or state.rest:
        return 0
    if track.stale < beam.after_groups or track.certainty > beam.skew:
        return 0
    return min(plan.size, max(1, round(plan.size * beam.share)))


def _explorer(chosen: Strategy, name: str, temperature: float) -> Strategy:
    return Strategy(
        name=name,
        temperature=temperature,
        repetition=chosen.repetition,
        imbalance=chosen.imbalance,
        boost=chosen.boost,
        text_boost=chosen.text_boost,
        hint_boost=chosen.hint_boost,
    )


def _temperature(track: TaskTrack, settings: GenerationSettings) -> float:
    heat = settings.heat
    if not (heat.by_score or heat.by_repeats):
        return settings.temperature
    share = (1 + heat.by_score * (1 - 2 * track.score)) * (1 + heat.by_repeats * track.repeats)
    return round(min(max(settings.temperature * share, _LOWEST), _HIGHEST), 2)


def _name(temperature: float, usual: float) -> str:
    if temperature == usual:
        return "plain"
    return "hotter" if temperature > usual else "cooler"
