"""altlas reward: the table of its commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import click

from altlas_agent.cli.groups import LazyGroup

if TYPE_CHECKING:
    from altlas_agent.cli.groups import Table


class _Commands(LazyGroup):
    table: ClassVar[Table] = {
        "explain": (
            "altlas_agent.cli.reward.explaining:explain_attempt",
            "Why an attempt has its score.",
        ),
    }


@click.group(cls=_Commands)
def reward() -> None:
    """See how attempts come by their scores."""
