"""altlas run exam: what the policy of a run has learned, by fresh samples."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import click
import msgspec

from altlas_agent.cli.naming.arguments import run_argument
from altlas_agent.cli.options import home_option, json_option

if TYPE_CHECKING:
    from altlas_agent.evaluation.exam import Report


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
        click.echo(msgspec.json.encode(report).decode())
        return
    _print(report)


def _print(report: object) -> None:
    from altlas_agent.evaluation.exam import Report

    assert isinstance(report, Report)
    click.echo(f"policy of {report.run}, version {report.version}: mean over tasks, 95 % interval")
    click.echo(f"{'what':<22}  tasks  instances  {'pass@1':<20}  pass@{report.k}")
    for grade in report.grades:
        first, best = (
            f"{mean:.2f} ({low:.2f} to {high:.2f})" for mean, low, high in (grade.pass_at_1, grade.pass_at_k)
        )
        click.echo(f"{grade.what:<22}  {grade.tasks:>5}  {grade.instances:>9}  {first:<20}  {best}")
    failed = [mark for mark in report.marks if not mark.is_unseen and not mark.solved]
    if failed:
        click.echo(f"not solved in {report.k} samples: {', '.join(mark.task for mark in failed)}")
