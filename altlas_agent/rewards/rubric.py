"""Weighted, named scorers to one Score with its breakdown."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import ScoringError
from altlas_agent.core.records import Outcome, Score, Status, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

UNSOLVED_CEILING = 0.95


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """All that a scorer may look at. `closeness` is the mean nearness of the answers, 0..1."""

    task: Task
    code: str
    outcome: Outcome
    closeness: float


def _tests(evidence: Evidence) -> float:
    cases = evidence.outcome.cases
    return evidence.outcome.passed / len(cases) if cases else 0.0


_STATUS = {Status.SUCCESS: 1.0, Status.ERROR: 0.4, Status.COMPILE_ERROR: 0.0, Status.REFUSED: 0.0}


def _status(evidence: Evidence) -> float:
    return _STATUS.get(evidence.outcome.status, 0.2)


def _output(evidence: Evidence) -> float:
    return evidence.closeness


def _length(evidence: Evidence) -> float:
    return 1.0 / (1.0 + len(evidence.code) / 200.0)


def _constraints(evidence: Evidence) -> float:
    return 1.0 / (1.0 + len(evidence.outcome.violations))


SCORERS: dict[str, Callable[[Evidence], float]] = {
    "tests": _tests,
    "status": _status,
    "output": _output,
    "constraints": _constraints,
    "length": _length,
}


def score(evidence: Evidence, weights: Mapping[str, float]) -> Score:
    """A solved attempt scores 1; any other the weighted mean of its parts, below 1.

    Solved means: every test passed, hidden ones included, no constraint was broken, and the program
    ended well. Every scorer is computed; one of weight 0 is a metric. Raises ScoringError for a part
    outside 0..1.
    """
    parts = {name: scorer(evidence) for name, scorer in SCORERS.items()}
    for name, value in parts.items():
        if not (math.isfinite(value) and 0.0 <= value <= 1.0):
            raise ScoringError(
                f"scorer {name!r} gave {value} for task {evidence.task.id}; it must lie in 0..1"
            )
    outcome = evidence.outcome
    solved = _is_solved(outcome)
    total = sum(weights.values())
    mean = sum(weights.get(name, 0.0) * value for name, value in parts.items()) / total if total else 0.0
    return Score(value=1.0 if solved else min(mean, UNSOLVED_CEILING), parts=parts, solved=solved)


def _is_solved(outcome: Outcome) -> bool:
    all_passed = bool(outcome.cases) and outcome.passed == len(outcome.cases)
    return all_passed and not outcome.violations and outcome.status is Status.SUCCESS
