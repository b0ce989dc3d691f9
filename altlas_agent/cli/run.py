"""altlas run: start a run, list runs, show one."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from altlas_agent.cli.groups import LazyGroup
from altlas_agent.cli.options import home_option, json_option, read_settings, settings_options
from altlas_agent.core.errors import Exit

if TYPE_CHECKING:
    from pathlib import Path

    from altlas_agent.daemon.assembly import RunResult


RUN_COMMANDS: dict[str, tuple[str, str]] = {
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
    """What can be done with runs; commands that are not in the table are below."""

    table = RUN_COMMANDS


@click.group(cls=RunCommands)
def run() -> None:
    """Start runs, and look at them."""


@run.command()
@click.argument("suite")
@click.option("--seed", type=click.IntRange(min=0), help="Seed of everything random in the run.")
@click.option("--max-attempts", type=click.IntRange(min=0), help="End after this many attempts; 0: no limit.")
@click.option("--max-time", type=click.FloatRange(min=0), metavar="S", help="End after this many seconds.")
@click.option("--name", default="", help="A name by which the run can be found again.")
@settings_options
@home_option
@json_option
def start(  # noqa: PLR0913 - one parameter per option
    suite: str,
    *,
    seed: int | None,
    max_attempts: int | None,
    max_time: float | None,
    name: str,
    profile: str | None,
    assignments: tuple[str, ...],
    home: str | None,
    as_json: bool,
) -> int:
    """Train a student on SUITE (a shipped suite, or a folder of task files) from random weights.

    Ctrl+C ends the run cleanly and keeps everything.
    """
    # Imported here: what a run needs is more than `run list` may load.
    import anyio

    from altlas_agent.cli.progress import RunProgress
    from altlas_agent.core import log
    from altlas_agent.daemon.assembly import RunPlan, train
    from altlas_agent.daemon.home import prepare_home, resolve_home
    from altlas_agent.tasks.loader import load_suite

    options = {
        "run.seed": ("--seed", seed),
        "run.max_attempts": ("--max-attempts", max_attempts),
        "run.max_time_s": ("--max-time", max_time),
    }
    settings = read_settings(profile=profile, assignments=assignments, options=options).settings
    loaded = load_suite(suite)
    folder = resolve_home(home)
    prepare_home(folder)
    log.set_up(settings.daemon.log_level, folder / "log")
    progress = RunProgress(
        tasks=len(loaded.entries), limit_s=settings.run.max_time_s, max_attempts=settings.run.max_attempts
    )
    plan = RunPlan(home=folder, suite=loaded, settings=settings, name=name)
    click.echo(f"training {loaded.name}: {len(loaded.entries)} tasks, seed {settings.run.seed}", err=True)
    try:
        result = anyio.run(train, plan, progress.follow)
    finally:
        progress.close()
    _report(folder, result, as_json=as_json)
    return Exit.INTERRUPTED if result.reason.is_by_hand else Exit.DONE


def _report(home: Path, result: RunResult, *, as_json: bool) -> None:
    """What the store says about the run that has just ended."""
    from altlas_agent.cli.history.runs import print_run
    from altlas_agent.daemon.assembly import DATABASE
    from storage.database import open_reader
    from storage.reading import queries

    connection = open_reader(home / DATABASE)
    try:
        view = queries.find_run(connection, f"r{result.run_id}")
        tasks = queries.tasks_of(connection, result.run_id)
    finally:
        connection.close()
    if as_json:
        summary = {
            "run": f"r{view.id}",
            "suite": view.suite,
            "seed": view.seed,
            "reason": view.reason,
            "tasks": view.tasks,
            "solved": view.solved,
            "attempts": view.attempts,
            "wall_s": round(result.wall_s, 3),
            "attempts_per_s": round(view.attempts / result.wall_s, 2),
            "database": str(home / DATABASE),
            "per_task": [
                {
                    "task": task.key,
                    "language": task.language,
                    "solved": task.solved_attempt is not None,
                    "first_solved_attempt": task.solved_attempt,
                    "attempts": task.attempts,
                }
                for task in tasks
            ],
        }
        click.echo(json.dumps(summary))
        return
    print_run(view, tasks, programs=False)
    click.echo(f"\nstored in {home / DATABASE}", file=sys.stdout)
    click.echo(f"look at the programs: altlas run show r{view.id}", file=sys.stdout)
    click.echo(f"look at one attempt:  altlas attempt show r{view.id} NUMBER", file=sys.stdout)
