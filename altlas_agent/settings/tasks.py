"""Settings of the tasks: groups, curriculum, instances."""

from __future__ import annotations

from pydantic import Field

from altlas_agent.settings.section import Section


class TaskSettings(Section):
    """Which tasks are tried, how often, and when one counts as solved."""

    groups_per_batch: int = Field(default=8, ge=1, le=4096)
    """Groups that the student generates together and learns from in one step."""

    group_size: int = Field(default=16, ge=2, le=4096)
    """Attempts in a group: they are compared with each other, so at least 2."""

    patience_groups: int = Field(default=8, ge=1)
    """Groups spent on a task before its neighbours get a turn."""

    rehearsal_share: float = Field(default=0.25, ge=0, lt=1)
    """Share of the groups that goes to tasks already solved, so that they are not forgotten."""

    train_instances: int = Field(default=200, ge=1)
    """Instances of a task family that are used for training."""

    verify_instances: int = Field(default=3, ge=0)
    """Further instances that a program must solve before the success of a family counts."""
