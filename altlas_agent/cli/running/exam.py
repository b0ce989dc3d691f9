"""altlas run exam: what the policy of a run has learned, by fresh samples."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import click

from altlas_agent.cli.naming.arguments import run_argument
from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import Column, write_json, write_line, write_table

if TYPE_CHECKING:
    from altlas_agent.evaluation.exam import Report

if TYPE_CHECKING:
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
@home_option
@json_option
def exam(run: str, k: int, instances: int, home: str | None, *, as_json: bool) -> None:
    """Examine the policy of RUN; @latest is the newest one.

    Its last checkpoint writes fresh programs for every task of its suite, without replay, exploration or
    search, and for instances that it was never trained on. Nothing of the run changes.
    """
    # Imported here so that the help starts without the parts of a run.
    from altlas_agent.core.errors import NotFoundError
    from altlas_agent.daemon.home import resolve_home
    from altlas_agent.daemon.trials.exam import examine
    from storage.database import FILE_NAME, open_reader
    from storage.reading import queries

    folder = resolve_home(home)
    path = folder / FILE_NAME
    if not path.exists():
        raise NotFoundError("run", run, f"there is no database {path}: altlas run start quickstart")
    with closing(open_reader(path)) as connection:
        run_id = queries.find_run(connection, run).id

    def told(done: int, count: int) -> None:
        if not as_json:
            click.echo(f"\r{done} of {count} instances", nl=done == count, err=True)

    async def sit() -> Report:
        return await examine(folder, run_id, k=k, instances=instances, told=told)

    report = anyio.run(sit)
    if as_json:
        write_json(report)
        return
    _print(report)


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
