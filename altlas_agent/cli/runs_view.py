"""The reading half of altlas run: list runs, show one. Reads SQLite and imports nothing heavy."""

from __future__ import annotations

import os
import time
from contextlib import closing
from typing import TYPE_CHECKING

import click
import msgspec

from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import (
    Column,
    duration,
    moment,
    note,
    note_truncation,
    score,
    write_block,
    write_json,
    write_line,
    write_rows_json,
    write_table,
)
from altlas_agent.daemon.home import resolve_home
from storage.database import FILE_NAME, exists, open_reader
from storage.reading import queries

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from storage.reading.views import RunView, TaskView

NO_RUNS = "no runs yet: altlas run start quickstart"

_RUN_COLUMNS = (
    Column("run"),
    Column("name"),
    Column("suite"),
    Column("seed", is_number=True),
    Column("status"),
    Column("solved", is_number=True),
    Column("attempts", is_number=True),
    Column("best", is_number=True),
    Column("time", is_number=True),
    Column("started"),
)
_TASK_COLUMNS = (
    Column("task"),
    Column("language"),
    Column("kind"),
    Column("solved at", is_number=True),
    Column("attempts", is_number=True),
    Column("best", is_number=True),
)


@click.command("list")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="How many; 0: all.")
@home_option
@json_option
def list_runs(*, limit: int, home: str | None, as_json: bool) -> None:
    """List the runs of this home, newest first."""
    runs: list[RunView] = []
    total = 0
    if has_runs(home):
        with closing(open_home(home)) as connection:
            runs = [as_it_is(run) for run in queries.runs_page(connection, limit=limit)]
            total = queries.count_runs(connection)
    if as_json:
        write_rows_json(runs, total=total)
    elif runs:
        write_table(_RUN_COLUMNS, [_run_cells(run) for run in runs])
        note_truncation(len(runs), total)
    else:
        note(NO_RUNS)


@click.command("show")
@click.argument("run", metavar="RUN")
@click.option("--programs/--no-programs", default=True, help="Show the programs that solved the tasks.")
@home_option
@json_option
def show_run(*, run: str, programs: bool, home: str | None, as_json: bool) -> None:
    """Show RUN (r12, 12, @latest, @-2 or a name): its totals, its tasks, and what solved them."""
    with closing(open_home(home)) as connection:
        view = as_it_is(queries.find_run(connection, run))
        tasks = queries.tasks_of(connection, view.id)
        settings = queries.run_settings(connection, view.id)
    if not as_json:
        print_run(view, tasks, programs=programs)
        return
    if not programs:
        tasks = [msgspec.structs.replace(task, solution=None) for task in tasks]
    write_json({"run": view, "settings": msgspec.Raw(settings.encode()), "tasks": tasks})


def print_run(run: RunView, tasks: Sequence[TaskView], *, programs: bool) -> None:
    """A run for people: its totals, the table of its tasks and, if wanted, the solving programs."""
    for line in _headlines(run):
        write_line(line)
    write_table(_TASK_COLUMNS, [_task_cells(task) for task in tasks])
    for task in tasks:
        if programs and task.solution is not None:
            click.echo()
            write_block(f"{task.key} ({task.language}), attempt {task.solved_attempt}", task.solution)


def open_home(home: str | None) -> sqlite3.Connection:
    """A reading connection to the database of a home, given as --home gives it."""
    return open_reader(resolve_home(home) / FILE_NAME)


def has_runs(home: str | None) -> bool:
    """False when nothing was ever run in this home: a list is empty then, not an error."""
    return exists(resolve_home(home) / FILE_NAME)


def as_it_is(run: RunView) -> RunView:
    """The run with its true status: a run whose process is gone is not running, whatever it last wrote."""
    if run.status != "running":
        return run
    if _is_alive(run.pid):
        return msgspec.structs.replace(run, wall_s=max(0.0, (time.time_ns() - run.started_ns) / 1e9))
    return msgspec.structs.replace(run, status="crashed", reason="its process is gone")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and belongs to somebody else
        return True
    return True


def _headlines(run: RunView) -> list[str]:
    name = f" {run.name}" if run.name else ""
    reason = f" ({run.reason})" if run.reason else ""
    layers = f" ({', '.join(run.jail_layers)})" if run.jail_layers else ""
    rate = f", {run.attempts / run.wall_s:.1f} per second" if run.wall_s > 0 else ""
    return [
        f"run r{run.id}{name}: {run.suite}, seed {run.seed}, {run.status}{reason}",
        f"{run.solved} of {run.tasks} tasks solved in {run.attempts} attempts, best score {score(run.best_score)}",
        f"started {moment(run.started_ns)}, took {duration(run.wall_s)}{rate}",
        f"jail {run.jail_rung or 'not chosen yet'}{layers}, altlas {run.version}",
    ]


def _run_cells(run: RunView) -> list[str]:
    return [
        f"r{run.id}",
        run.name,
        run.suite,
        str(run.seed),
        run.status,
        f"{run.solved}/{run.tasks}",
        str(run.attempts),
        score(run.best_score),
        duration(run.wall_s),
        moment(run.started_ns),
    ]


def _task_cells(task: TaskView) -> list[str]:
    solved_at = "-" if task.solved_attempt is None else str(task.solved_attempt)
    return [task.key, task.language, task.kind, solved_at, str(task.attempts), score(task.best_score)]
