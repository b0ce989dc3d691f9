"""altlas run exam: what the policy of a run has learned, by fresh samples."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import click

from altlas_agent.cli.naming.arguments import run_argument
from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import Column, moment, write_json, write_line, write_table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from altlas_agent.evaluation.exam import Report
    from altlas_agent.evaluation.scores import Interval


@click.command()
@run_argument
@click.option(
    "-k", "k", type=click.IntRange(1, 256), default=8, show_default=True, help="Samples for each instance."
)
@click.option(
    "--instances",
    type=click.IntRange(0, 100),
    default=3,
    show_default=True,
    help="Instances of each family that were never trained on.",
)
@click.option("--list", "is_list", is_flag=True, help="Show the exams of RUN that were taken before.")
@home_option
@json_option
def exam(*, run: str, k: int, instances: int, is_list: bool, home: str | None, as_json: bool) -> None:
    """Examine the policy of RUN; @latest is the newest one.

    Its last checkpoint writes fresh programs for every task of its suite, without replay, exploration or
    search, and for instances that it was never trained on. Nothing of the run changes; the result is kept
    with it.
    """
    # Imported here so that the help starts without the parts of a run.
    from altlas_agent.core.errors import NotFoundError
    from altlas_agent.daemon.home import resolve_home
    from altlas_agent.daemon.trials.exam import examine
    from altlas_agent.evaluation.exam import report_of
    from storage.database import FILE_NAME, open_reader
    from storage.reading import queries
    from storage.runs.exams import exams_of

    folder = resolve_home(home)
    path = folder / FILE_NAME
    if not path.exists():
        raise NotFoundError("run", run, f"there is no database {path}: altlas run start quickstart")
    with closing(open_reader(path)) as connection:
        run_id = queries.find_run(connection, run).id
        kept = [report_of(row) for row in exams_of(connection, run_id, limit=0)] if is_list else []
    if is_list:
        _write_list(f"r{run_id}", kept, as_json=as_json)
        return

    def told(done: int, count: int) -> None:
        if not as_json:
            click.echo(f"\r{done} of {count} instances", nl=done == count, err=True)

    async def sit() -> Report:
        return await examine(folder, run_id, k=k, instances=instances, told=told)

    report = anyio.run(sit)
    if as_json:
        write_json(report)
    else:
        _print(report)
    _keep(folder, run_id, report)


def _keep(home: Path, run_id: int, report: Report) -> None:
    """A run in the foreground holds its home: then the result is shown and no more, which is said."""
    from altlas_agent.cli.history.changing import keep_exam
    from altlas_agent.core.errors import HomeBusyError

    try:
        keep_exam(home, run_id, report)
    except HomeBusyError as error:
        click.echo(f"the result is not kept: {error.message}", err=True)


def _write_list(run: str, kept: Sequence[Report], *, as_json: bool) -> None:
    if as_json:
        write_json({"rows": kept})
        return
    if not kept:
        write_line(f"no exam of {run} was taken yet: altlas run exam {run}")
    for report in kept:
        write_line(summary(report))


def summary(report: Report) -> str:
    """An exam in a line: when, of what, and the means over tasks."""
    means = "; ".join(
        f"{g.what} pass@1 {g.pass_at_1.mean:.2f}, pass@{report.k} {g.pass_at_k.mean:.2f}"
        for g in report.grades
        if g.what in ("seen", "unseen")
    )
    return f"{moment(report.taken_ns)}, version {report.version} ({report.sha256[:12]}): {means}"


def _print(report: Report) -> None:
    write_line(f"policy of {report.run}, version {report.version}: mean over tasks, 95 % interval")
    columns = (
        Column("what"),
        Column("tasks", is_number=True),
        Column("instances", is_number=True),
        Column("pass@1"),
        Column(f"pass@{report.k}"),
    )
    write_table(
        columns,
        [
            (g.what, f"{g.tasks}", f"{g.instances}", _shown(g.pass_at_1), _shown(g.pass_at_k))
            for g in report.grades
        ],
    )
    failed = [mark for mark in report.marks if not mark.is_unseen and not mark.solved]
    if failed:
        write_line(f"not solved in {report.k} samples: {', '.join(mark.task for mark in failed)}")


def _shown(value: Interval) -> str:
    return f"{value.mean:.2f} ({value.low:.2f} to {value.high:.2f})"
