"""What a shell is offered when TAB is pressed where a run is named. It must answer before anybody waits.

Importing a command takes longer than reading names from the database. Where the words on the line tell
already that a run comes next, no command is imported.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from altlas_agent.core.errors import AltlasError
from altlas_agent.core.text import safe

if TYPE_CHECKING:
    from collections.abc import Sequence

    import click
    from click.shell_completion import CompletionItem

TAKE_A_RUN = frozenset(
    {
        *(("run", verb) for verb in ("show", "exam", "compare", "tail", "export", "delete", "tag", "note")),
        *(("run", verb) for verb in ("resume", "stop", "pause", "attach", "checkpoint", "steer")),
        ("attempt", "show"),
        ("event", "list"),
        ("event", "tail"),
    }
)
"""Commands whose first word is a run."""

_RUN_OPTION = "--run"
_HOME_OPTION = "--home"


def complete_runs(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """For a parameter: the newest runs that begin so, by number, name and tag."""
    home: object = ctx.params.get("home")
    return runs_like(incomplete, home if isinstance(home, str) else None)


def answer_at_once(command: click.Command) -> bool:
    """Answer the shell if it asks for runs; False when it has to be asked what comes next."""
    from click.shell_completion import get_completion_class

    shell, _, what = os.environ["_ALTLAS_COMPLETE"].partition("_")
    writer = get_completion_class(shell)
    if writer is None or what != "complete":
        return False
    completion = writer(command, {}, "altlas", "_ALTLAS_COMPLETE")
    words, incomplete = completion.get_completion_args()
    if not _is_run_next(words, incomplete):
        return False
    home = words[words.index(_HOME_OPTION) + 1] if _HOME_OPTION in words[:-1] else None
    for item in runs_like(incomplete, home):
        print(completion.format_completion(item))
    return True


def runs_like(incomplete: str, home: str | None) -> list[CompletionItem]:
    """The newest runs whose number, name or tag begins so; none where no database can be read."""
    # Imported here, because the commands that this completes do not need it.
    from click.shell_completion import CompletionItem

    from altlas_agent.cli.history.opening import reading
    from storage.reading.names import newest, tags

    try:
        with reading(home) as connection:
            runs, words = newest(connection), tags(connection)
    except AltlasError:
        return []
    offered = {f"r{run.id}": f"{run.name or run.suite}, {run.status}" for run in runs}
    for run in runs:
        if run.name.isprintable() and " " not in run.name:
            offered.setdefault(run.name, f"r{run.id}")
    offered["@latest"] = "the newest run"
    offered |= {f"tag:{tag}": "runs with this tag" for tag in words}
    return [
        CompletionItem(word, help=safe(offered[word], keep_newlines=False))
        for word in offered
        if word and word.startswith(incomplete)
    ]


def _is_run_next(words: Sequence[str], incomplete: str) -> bool:
    if incomplete.startswith("-"):
        return False
    return words[-1:] == [_RUN_OPTION] or (len(words) == 2 and tuple(words) in TAKE_A_RUN)
