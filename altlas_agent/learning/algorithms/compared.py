"""Which attempts of a group are compared, why a group is not, and rows of advantages for the others."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.core.records import Arm
from altlas_agent.learning.algorithms.base import Annotated, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.core.records import Group, Judged

EQUAL = "all scores are equal"

NOTHING = 1e-15
"""An advantage below this is the rounding of a mean."""


class Compared(NamedTuple):
    """The attempts that count, or the reason why none does."""

    judged: tuple[Judged, ...] = ()
    dropped: str = ""

    @property
    def scores(self) -> list[float]:
        return [judged.score.value for judged in self.judged]


def compared(group: Group, *, outcome_gate: bool, least: int = 2) -> Compared:
    """The on-policy attempts of a group that the sandbox did not fail on; `least` is how many there must be.

    What exploration found is learned by replay, never here. The outcome gate: where nobody passed more tests
    than another, shaped scores alone would pull the policy away from every solution. A single attempt passes
    the gate, because it has nobody to be compared with.
    """
    scored = tuple(j for j in group.judged if j.attempt.arm is Arm.POLICY and j.outcome.status.is_scored)
    if len(scored) < least:
        few = "fewer than two on-policy attempts were scored"
        return Compared(dropped=few if least > 1 else "no on-policy attempt was scored")
    fault = next(filter(None, (_fault(group, judged) for judged in scored)), "")
    if fault:
        return Compared(dropped=fault)
    outcomes = {(judged.outcome.passed, judged.score.solved) for judged in scored}
    if outcome_gate and len(outcomes) == 1 and len(scored) > 1:
        return Compared(dropped="nobody passed more tests than another")
    return Compared(scored)


def uneven(found: Compared) -> Compared:
    """The same, dropped where all scores are equal."""
    return Compared(dropped=EQUAL) if found.judged and len(set(found.scores)) == 1 else found


def annotated(group: Group, found: Compared, advantages: Sequence[float], discount: float) -> Annotated:
    """One advantage for each attempt that was compared becomes a row of its tokens."""
    if found.dropped:
        return Annotated(dropped=found.dropped)
    if max(map(abs, advantages)) < NOTHING:
        return Annotated(dropped=EQUAL)
    rows = {
        judged.attempt.number: spread(advantage, len(judged.attempt.tokens), discount)
        for judged, advantage in zip(found.judged, advantages, strict=True)
    }
    return with_rows(group, rows)


def with_rows(group: Group, rows: dict[int, Row]) -> Annotated:
    """The rows of a group by the numbers of its attempts."""
    return Annotated(tuple(rows.get(judged.attempt.number, ()) for judged in group.judged))


def spread(advantage: float, length: int, discount: float) -> Row:
    """The last token gets it all, each token before it `discount` of the one after."""
    if discount == 1.0:
        return (advantage,) * length
    return tuple(advantage * discount**left for left in reversed(range(length)))


def _fault(group: Group, judged: Judged) -> str:
    """Why nothing can be learned from an attempt, "" where something can."""
    attempt, longest = judged.attempt, group.plan.task.constraints.max_tokens
    if not attempt.tokens:
        return f"attempt {attempt.number} has no tokens"
    if len(attempt.tokens) > longest:
        return (
            f"attempt {attempt.number} has {len(attempt.tokens)} tokens, more than the {longest} of its task"
        )
    if not math.isfinite(judged.score.value):
        return f"the score of attempt {attempt.number} is {judged.score.value:g}"
    return ""
