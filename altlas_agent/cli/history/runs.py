"""altlas run list and show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from altlas_agent.cli.formats.form import Form, form_options
from altlas_agent.cli.formats.listing import Cut, Shown, write_listing
from altlas_agent.cli.history.opening import NO_RUNS, has_runs, reading
from altlas_agent.cli.naming.arguments import run_argument, since
from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import (
    Column,
    duration,
    moment,
    score,
    write_block,
    write_json,
    write_line,
    write_table,
)
from storage.reading import queries
from storage.reading.events import EventFilter, last_events
from storage.reading.filters import Order, RunFilter, count_filtered, filtered_runs
from storage.reading.status import as_it_is
from storage.reading.views import RunView
from storage.runs.exams import exams_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.reading.views import TaskView
    from storage.runs.exams import ExamRow

_STATUSES = ("running", "ended", "interrupted", "crashed", "deleting")
_Shown = Shown[RunView]
_RUN_COLUMNS = (
    _Shown("run", lambda run: f"r{run.id}"),
    _Shown("name", lambda run: run.name),
    _Shown("suite", lambda run: run.suite),
    _Shown("seed", lambda run: str(run.seed), is_number=True),
    _Shown("status", lambda run: run.status),
    _Shown("solved", lambda run: f"{run.solved}/{run.tasks}", is_number=True),
    _Shown("attempts", lambda run: str(run.attempts), is_number=True),
    _Shown("best", lambda run: score(run.best_score), is_number=True),
    _Shown("time", lambda run: duration(run.wall_s), is_number=True),
    _Shown("started", lambda run: moment(run.started_ns)),
)
_TAGS = _Shown("tags", lambda run: " ".join(run.tags))
"""Only shown where a run has tags."""

_TASK_COLUMNS = (
    Column("task"),
    Column("language"),
    Column("kind"),
    Column("solved at", is_number=True),
    Column("attempts", is_number=True),
    Column("best", is_number=True),
)


@click.command("list")
@click.option("--suite", metavar="SUITE", help="Only runs of this suite.")
@click.option(
    "--status", type=click.Choice(_STATUSES), metavar="STATUS", help=f"Only {', '.join(_STATUSES)}."
)
@click.option(
    "--since", metavar="TIME", callback=since, help="Only runs begun since then: 7d, 12h, 30m, or 2026-03-01."
)
@click.option(
    "--tag", "tags", multiple=True, metavar="TAG", help="Only runs with this tag; repeated: all of them."
)
@click.option(
    "--sort",
    type=click.Choice([order.value for order in Order]),
    default=Order.NEWEST.value,
    show_default=True,
    metavar="ORDER",
    help=f"By {', '.join(Order)}.",
)
@click.option("--before", metavar="RUN", help="Only runs older than this one: the next page.")
@form_options()
@home_option
def list_runs(
    *,
    suite: str | None,
    status: str | None,
    since: int | None,
    tags: tuple[str, ...],
    sort: str,
    before: str | None,
    form: Form,
    home: str | None,
) -> None:
    """List runs, newest first."""
    which = RunFilter(suite=suite, status=status, since_ns=since, tags=tags)
    runs: list[RunView] = []
    cut = Cut(total=0)
    if has_runs(home):
        with reading(home) as connection:
            if before is not None:
                which = msgspec.structs.replace(which, before=queries.find_run(connection, before).id)
            runs = filtered_runs(connection, which, order=Order(sort), limit=form.limit)
            cut = _cut(runs, count_filtered(connection, which), Order(sort))
    empty = "no such runs" if has_runs(home) else NO_RUNS
    columns = (*_RUN_COLUMNS, _TAGS) if any(run.tags for run in runs) else _RUN_COLUMNS
    write_listing(runs, form, kind=RunView, columns=columns, cut=cut, empty=empty)


class BuiltPolicy(msgspec.Struct, frozen=True):
    """What the student of a run is made of."""

    parameters: int
    features: dict[str, str]


@click.command("show")
@run_argument
@click.option("--programs/--no-programs", default=True, help="Show the programs that solved the tasks.")
@home_option
@json_option
def show_run(*, run: str, programs: bool, home: str | None, as_json: bool) -> None:
    """Show RUN (r12, 12, @latest, @-2, tag:best or a name): its totals, its tasks, and what solved them."""
    with reading(home) as connection:
        view = as_it_is(queries.find_run(connection, run))
        tasks = queries.tasks_of(connection, view.id)
        settings = queries.run_settings(connection, view.id)
        exams = exams_of(connection, view.id)
        built = last_events(connection, EventFilter(run_id=view.id, types=("PolicyBuilt",)), limit=1)
    policy = msgspec.json.decode(built[0].event, type=BuiltPolicy) if built else None
    if not as_json:
        print_run(view, tasks, policy=policy, programs=programs)
        _print_exams(exams)
        return
    if not programs:
        tasks = [msgspec.structs.replace(task, solution=None) for task in tasks]
    write_json(
        {
            "run": view,
            "policy": policy,
            "settings": msgspec.Raw(settings.encode()),
            "tasks": tasks,
            "exams": [msgspec.Raw(exam.report_json.encode()) for exam in exams],
        }
    )


def _print_exams(exams: Sequence[ExamRow]) -> None:
    if not exams:
        return
    # Imported here: most runs were never examined.
    from altlas_agent.cli.running.exam import summary
    from altlas_agent.evaluation.exam import report_of

    click.echo()
    for exam in exams:
        write_line(f"exam of {summary(report_of(exam))}")


def print_run(
    run: RunView, tasks: Sequence[TaskView], *, policy: BuiltPolicy | None = None, programs: bool
) -> None:
    """A run for people: its totals, the table of its tasks and, if wanted, the solving programs."""
    for line in _headlines(run):
        write_line(line)
    if policy is not None:
        parts = ", ".join(f"{name} {what}" for name, what in policy.features.items())
        write_line(f"policy: {policy.parameters:,} weights, {parts}")
    write_table(_TASK_COLUMNS, [_task_cells(task) for task in tasks])
    for task in tasks:
        if programs and task.solution is not None:
            click.echo()
            write_block(f"{task.key} ({task.language}), attempt {task.solved_attempt}", task.solution)


def _cut(runs: Sequence[RunView], total: int, order: Order) -> Cut:
    is_cut = len(runs) < total
    by_number = is_cut and order is Order.NEWEST and runs
    return Cut(is_cut, total, f"--before r{runs[-1].id}" if by_number else "")


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
        *([f"tags: {' '.join(run.tags)}"] if run.tags else []),
        *([f"note: {run.note}"] if run.note else []),
    ]


def _task_cells(task: TaskView) -> list[str]:
    solved_at = "-" if task.solved_attempt is None else str(task.solved_attempt)
    return [task.key, task.language, task.kind, solved_at, str(task.attempts), score(task.best_score)]
