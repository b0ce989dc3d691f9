"""A plan of groups becomes rows to write: one row per attempt, with the arm that draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.core.records import Arm, GroupPlan, Task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from altlas_agent.settings.generation import GenerationSettings


class Row(NamedTuple):
    """One attempt to be written. `prompt` is the place of its task among the tasks of the batch."""

    number: int
    group: int
    prompt: int
    task: Task
    arm: Arm


class Written(NamedTuple):
    """A complete program, with the log-probability (natural log) of each token as it was drawn."""

    tokens: tuple[int, ...]
    logps: tuple[float, ...]


def rows_of(plans: Sequence[GroupPlan], settings: GenerationSettings) -> list[Row]:
    """On-policy rows first, then the flattened policy, then the grammar, in every group alike."""
    rows: list[Row] = []
    for prompt, plan in enumerate(plans):
        num_flat = round(plan.size * settings.flat_share) if plan.explore else 0
        num_grammar = round(plan.size * settings.grammar_share) if plan.explore else 0
        num_policy = max(0, plan.size - num_flat - num_grammar)
        arms = [Arm.POLICY] * num_policy + [Arm.FLAT] * num_flat + [Arm.GRAMMAR] * num_grammar
        for place, arm in enumerate(arms[: plan.size]):
            rows.append(Row(plan.first_number + place, plan.group, prompt, plan.task, arm))
    return rows
