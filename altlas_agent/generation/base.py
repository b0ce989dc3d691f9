"""A plan of a group becomes rows to write: one row per attempt, with the arm that draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.core.records import Arm, Beside, Conditions, GroupPlan, Task

if TYPE_CHECKING:
    from collections.abc import Sequence


class Row(NamedTuple):
    """One attempt to be written. `prompt` is the place of its task among the tasks of the batch.

    Without `conditions` it is drawn plainly, as its arm draws.
    """

    number: int
    group: int
    prompt: int
    task: Task
    arm: Arm
    conditions: Conditions | None = None
    beside: Beside = Beside()


class Written(NamedTuple):
    """A complete program, with the log-probability (natural log) of each token as it was drawn; 0 where an
    arm draws from no distribution, which then has no conditions.
    """

    tokens: tuple[int, ...]
    logps: tuple[float, ...]
    conditions: Conditions | None = None


def rows_of(plan: GroupPlan, prompt: int, arms: Sequence[Arm]) -> list[Row]:
    """One row per attempt of a group: on-policy ones first, then `arms`, at most as many as the group has."""
    drawn = [Arm.POLICY] * max(0, plan.size - len(arms)) + list(arms)
    return [
        Row(plan.first_number + place, plan.group, prompt, plan.task, arm, beside=plan.beside)
        for place, arm in enumerate(drawn[: plan.size])
    ]
