"""What the runs of an experiment came to, by arm: means over seeds with 95 % intervals, and paired differences."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.core.records import Record
from altlas_agent.evaluation.scores import Interval, bootstrap

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Ended(NamedTuple):
    """One run: for each task the attempt that solved it first, None where none did, and the attempts made."""

    arm: str
    seed: int
    run_id: int
    first_solved: tuple[int | None, ...]
    attempts: int


class Line(Record):
    """One measure of one arm. `gain` is its difference from the first arm, by seed; None for that one."""

    arm: str
    measure: str
    seeds: int
    value: Interval
    gain: Interval | None


def _solved(run: Ended, budget: int) -> float:
    return fmean(attempt is not None and attempt <= budget for attempt in run.first_solved)


def _early(run: Ended, budget: int) -> float:
    """The area under the share of solved tasks, over the budget: 1 if all were solved at once."""
    return fmean(max(0.0, 1 - attempt / budget) if attempt else 0.0 for attempt in run.first_solved)


def _until_all(run: Ended, budget: int) -> float:
    """Attempts until every task was solved; the budget where that did not happen, so a lower bound."""
    return float(max((attempt if attempt is not None else budget) for attempt in run.first_solved))


MEASURES: dict[str, Callable[[Ended, int], float]] = {
    "solved": _solved,
    "early": _early,
    "attempts": _until_all,
}
"""solved: share of the tasks; early: area under that share over the budget; attempts: until all were solved."""


def compare(runs: Sequence[Ended], arms: Sequence[str], *, budget: int) -> tuple[Line, ...]:
    """A line per arm and measure, in the order of the arms; arms without a run are left out."""
    found: list[Line] = []
    for arm in dict.fromkeys(run.arm for run in sorted(runs, key=lambda run: arms.index(run.arm))):
        for measure in MEASURES:
            own = _by_seed(runs, arm, measure, budget)
            first = _by_seed(runs, arms[0], measure, budget) if arm != arms[0] else {}
            found.append(_line(arm, measure, own, first))
    return tuple(found)


def _by_seed(runs: Sequence[Ended], arm: str, measure: str, budget: int) -> dict[int, float]:
    return {run.seed: MEASURES[measure](run, budget) for run in runs if run.arm == arm}


def _line(arm: str, measure: str, own: dict[int, float], first: dict[int, float]) -> Line:
    gains = [own[seed] - first[seed] for seed in sorted(own.keys() & first.keys())]
    return Line(
        arm=arm,
        measure=measure,
        seeds=len(own),
        value=bootstrap([*own.values()]),
        gain=bootstrap(gains) if gains else None,
    )
