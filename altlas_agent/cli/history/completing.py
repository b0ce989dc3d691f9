"""What a shell is offered when TAB is pressed behind a command. It must answer before anybody waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.errors import AltlasError

if TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem


def complete_runs(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The newest runs that begin so, by number and by name; nothing where no database can be read."""
    # Imported here, because the commands that this completes do not need it.
    from click.shell_completion import CompletionItem

    from altlas_agent.cli.history.opening import reading
    from storage.reading.names import newest

    home: object = ctx.params.get("home")
    try:
        with reading(home if isinstance(home, str) else None) as connection:
            runs = newest(connection)
    except AltlasError:
        return []
    offered = {f"r{run.id}": f"{run.name or run.suite}, {run.status}" for run in runs}
    for run in runs:
        if run.name.isprintable() and " " not in run.name:
            offered.setdefault(run.name, f"r{run.id}")
    offered["@latest"] = "the newest run"
    return [
        CompletionItem(word, help=offered[word]) for word in offered if word and word.startswith(incomplete)
    ]
