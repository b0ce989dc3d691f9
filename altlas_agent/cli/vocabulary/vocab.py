"""altlas vocab: the table of its commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import click

from altlas_agent.cli.groups import LazyGroup

if TYPE_CHECKING:
    from altlas_agent.cli.groups import Table


class _Commands(LazyGroup):
    table: ClassVar[Table] = {
        "report": (
            "altlas_agent.cli.vocabulary.report:report",
            "How tokens are used: by success and failure, and which together.",
        ),
        "propose": (
            "altlas_agent.cli.vocabulary.changing:propose",
            "Propose tokens to add, and tokens to do without.",
        ),
        "apply": (
            "altlas_agent.cli.vocabulary.changing:apply",
            "Check a proposal, and write the files that it changes.",
        ),
    }


@click.group(cls=_Commands)
def vocab() -> None:
    """See how the abstract tokens are used, and change them.

    Policies write programs in tokens of their own, which language maps turn into Python and JavaScript.
    """
