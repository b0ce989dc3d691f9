"""altlas run: start a run, list runs, show one."""

from __future__ import annotations

import click

from altlas_agent.cli.groups import LazyGroup

RUN_COMMANDS: dict[str, tuple[str, str]] = {
    "start": ("altlas_agent.cli.running.start:start", "Train a student on a suite of tasks."),
    "resume": ("altlas_agent.cli.running.start:resume", "Go on with a run as if it had never stopped."),
    "stop": ("altlas_agent.cli.running.remote:stop", "End a run of the daemon, with a checkpoint."),
    "pause": ("altlas_agent.cli.running.remote:pause", "Have a run of the daemon rest."),
    "attach": ("altlas_agent.cli.running.remote:attach", "Follow a run of the daemon until it ends."),
    "checkpoint": ("altlas_agent.cli.running.remote:checkpoint", "Save a run of the daemon now."),
    "steer": ("altlas_agent.cli.running.remote:steer", "Change live settings of a run of the daemon."),
    "exam": ("altlas_agent.cli.running.exam:exam", "Examine what the policy of a run has learned."),
    "list": ("altlas_agent.cli.history.runs:list_runs", "List runs, newest first."),
    "show": ("altlas_agent.cli.history.runs:show_run", "Show a run, its tasks and what solved them."),
    "compare": ("altlas_agent.cli.history.compare:compare_runs", "Compare runs, side by side."),
    "export": ("altlas_agent.cli.history.export:export_run", "Write what a run holds to a file."),
    "tag": ("altlas_agent.cli.history.marks:tag_run", "Give words to a run, or take them away."),
    "note": ("altlas_agent.cli.history.marks:note_run", "Write something about a run, or read it."),
    "delete": ("altlas_agent.cli.history.marks:delete_run", "Take a run away, with all that it holds."),
    "tail": ("altlas_agent.cli.history.events:tail_run", "Tell what happened last in a run, and what comes."),
}
"""Name -> where the command lives, and its line in --help, which therefore imports none of them."""


class RunCommands(LazyGroup):
    """What can be done with runs."""

    table = RUN_COMMANDS


@click.group(cls=RunCommands)
def run() -> None:
    """Start runs, and look at them."""
