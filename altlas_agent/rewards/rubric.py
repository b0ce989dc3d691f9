"""Weighted, named scorers to one Score with its breakdown."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import ScoringError
from altlas_agent.core.records import Outcome, Score, Status, Task
from altlas_agent.rewards.combining import UNSOLVED_CEILING, weight_of, weighted_mean
from altlas_agent.rewards.scorers.similarity import to_description, to_reference
from altlas_agent.rewards.scorers.structure import format_score, kept_share
from altlas_agent.rewards.scorers.syntax import syntax

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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


def _syntax(evidence: Evidence) -> float:
    return syntax(evidence.task.target_language, evidence.code)


def _execution(evidence: Evidence) -> float:
    """The share of the tests that got an answer, whatever it was worth."""
    cases = evidence.outcome.cases
    return sum(bool(case.got) for case in cases) / len(cases) if cases else 0.0


def _structure(evidence: Evidence) -> float:
    parses = _syntax(evidence) == 1.0
    return kept_share(evidence.task, len(evidence.outcome.violations)) if parses else 0.0


def _description(evidence: Evidence) -> float:
    return to_description(evidence.task, evidence.code)


def _reference(evidence: Evidence) -> float:
    return to_reference(evidence.task, evidence.code)


def _format(evidence: Evidence) -> float:
    language = evidence.task.target_language
    return format_score(evidence.code, lambda text: syntax(language, text) == 1.0)


@dataclass(frozen=True, slots=True)
class Scorer:
    """How a part of a score is measured, 0..1. Without `is_free` only while it has a weight."""

    measure: Callable[[Evidence], float]
    is_free: bool = False


SCORERS: dict[str, Scorer] = {
    "tests": Scorer(_tests, is_free=True),
    "status": Scorer(_status, is_free=True),
    "output": Scorer(_output, is_free=True),
    "constraints": Scorer(_constraints, is_free=True),
    "length": Scorer(_length, is_free=True),
    "syntax": Scorer(_syntax),
    "execution": Scorer(_execution),
    "structure": Scorer(_structure),
    "description": Scorer(_description),
    "reference": Scorer(_reference),
    "format": Scorer(_format),
}
"""Novelty is not among them: it depends on earlier attempts, see `rewards.shaping`."""


def score(evidence: Evidence, weights: Mapping[str, float]) -> Score:
    """A solved attempt scores 1; any other the weighted mean of its parts, below 1.

    Solved means: every test passed, hidden ones included, no constraint was broken, and the program
    ended well. A free scorer of weight 0 is a metric, any other is left out. Raises ScoringError for a
    part outside 0..1.
    """
    parts = {
        name: scorer.measure(evidence)
        for name, scorer in SCORERS.items()
        if scorer.is_free or weight_of(name, weights) > 0.0
    }
    for name, value in parts.items():
        if not (math.isfinite(value) and 0.0 <= value <= 1.0):
            raise ScoringError(
                f"scorer {name!r} gave {value} for task {evidence.task.id}; it must lie in 0..1"
            )
    solved = _is_solved(evidence.outcome)
    value = 1.0 if solved else min(weighted_mean(parts, weights), UNSOLVED_CEILING)
    return Score(value=value, parts=parts, solved=solved)


def _is_solved(outcome: Outcome) -> bool:
    all_passed = bool(outcome.cases) and outcome.passed == len(outcome.cases)
    return all_passed and not outcome.violations and outcome.status is Status.SUCCESS
