"""altlas attempt: list the attempts of runs, show one. Reads SQLite and imports nothing heavy."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import click

from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import (
    Column,
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
from altlas_agent.cli.runs_view import NO_RUNS, has_runs, open_home
from altlas_agent.core.errors import NotFoundError
from altlas_agent.core.records import Record, Status, ToolFeedback
from storage.reading import queries
from storage.reading.views import AttemptFilter

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from storage.reading.views import AttemptLine, AttemptView, RunView

_COLUMNS = (
    Column("run"),
    Column("attempt", is_number=True),
    Column("task"),
    Column("language"),
    Column("version", is_number=True),
    Column("arm"),
    Column("status"),
    Column("tests", is_number=True),
    Column("score", is_number=True),
    Column("solved"),
)
_STATUSES = tuple(status.value for status in Status)
_PART_COLUMNS = (Column("scorer"), Column("score", is_number=True))
_CASE_COLUMNS = (Column("test"), Column("passed"), Column("hidden"), Column("got"))


class Wanted(Record, frozen=True):
    """What `attempt list` was asked for."""

    run: str | None
    task: str | None
    solved: bool
    status: Status | None
    min_score: float | None
    limit: int


@click.group()
def attempt() -> None:
    """Look at the attempts of a run."""


@attempt.command("list")
@click.option("--run", metavar="RUN", help="Only this run: r12, 12, @latest or a name. [default: all runs]")
@click.option("--task", metavar="TASK", help="Only this task: suite/name, or name alone.")
@click.option("--solved", is_flag=True, help="Only attempts that solved their task.")
@click.option(
    "--status", type=click.Choice(_STATUSES), metavar="STATUS", help=f"Only one of {', '.join(_STATUSES)}."
)
@click.option("--min-score", type=float, metavar="X", help="Only attempts with this score or more.")
@click.option("--limit", type=click.IntRange(min=0), default=50, show_default=True, help="How many; 0: all.")
@home_option
@json_option
def list_attempts(
    *,
    run: str | None,
    task: str | None,
    solved: bool,
    status: str | None,
    min_score: float | None,
    limit: int,
    home: str | None,
    as_json: bool,
) -> None:
    """List attempts, newest first."""
    wanted = Wanted(
        run=run,
        task=task,
        solved=solved,
        status=Status(status) if status else None,
        min_score=min_score,
        limit=limit,
    )
    lines: list[AttemptLine] = []
    total = 0
    if run is not None or has_runs(home):
        with closing(open_home(home)) as connection:
            lines, total = _find(connection, wanted)
    if as_json:
        write_rows_json(lines, total=total)
    elif lines:
        write_table(_COLUMNS, [_cells(line) for line in lines])
        note_truncation(len(lines), total)
    else:
        note("no such attempts" if has_runs(home) else NO_RUNS)


@attempt.command("show")
@click.argument("run", metavar="RUN")
@click.argument("number", type=click.IntRange(min=0), required=False)
@home_option
@json_option
def show_attempt(*, run: str, number: int | None, home: str | None, as_json: bool) -> None:
    """Show one attempt in full: RUN NUMBER, or RUN/NUMBER (r3 120, r3/120, @latest/7)."""
    if number is None:
        run, number = _split(run)
    with closing(open_home(home)) as connection:
        view = queries.find_attempt(connection, queries.find_run(connection, run).id, number)
    if as_json:
        write_json(view)
    else:
        _print_attempt(view)


def _split(place: str) -> tuple[str, int]:
    run, slash, number = place.rpartition("/")
    if not slash or not number.isascii() or not number.isdigit():
        raise click.UsageError(f"say which attempt: {place} NUMBER, or {place}/NUMBER")
    return run, int(number)


def _find(connection: sqlite3.Connection, wanted: Wanted) -> tuple[list[AttemptLine], int]:
    """The newest attempts that are wanted, up to the limit, and how many there are in all."""
    lines: list[AttemptLine] = []
    total = 0
    for run in _runs(connection, wanted):
        of_run: list[AttemptLine] = []
        left = wanted.limit - len(lines)
        for which in _filters(connection, run, wanted):
            total += queries.count_attempts(connection, which)
            if left > 0 or not wanted.limit:
                of_run += queries.attempts_page(connection, which, limit=left if wanted.limit else 0)
        of_run.sort(key=lambda line: -line.number)  # several tasks may share a short name
        lines += of_run[:left] if wanted.limit else of_run
    return lines, total


def _runs(connection: sqlite3.Connection, wanted: Wanted) -> list[RunView]:
    """The runs that hold wanted attempts, newest first. Raises NotFoundError for a task in none of them."""
    if wanted.run is None:
        runs = queries.runs_page(connection, limit=0)
    else:
        runs = [queries.find_run(connection, wanted.run)]
    if wanted.task is None:
        return runs
    runs = [run for run in runs if queries.task_ids(connection, run.id, wanted.task)]
    if not runs:
        raise NotFoundError("task", wanted.task, "the tasks of a run are: altlas run show RUN")
    return runs


def _filters(connection: sqlite3.Connection, run: RunView, wanted: Wanted) -> Iterator[AttemptFilter]:
    task_ids: list[int | None] = [None]
    if wanted.task is not None:
        task_ids = [*queries.task_ids(connection, run.id, wanted.task)]
    for task_id in task_ids:
        yield AttemptFilter(
            run_id=run.id,
            task_id=task_id,
            solved=wanted.solved,
            status=wanted.status,
            min_score=wanted.min_score,
        )


def _cells(line: AttemptLine) -> list[str]:
    return [
        f"r{line.run_id}",
        str(line.number),
        line.task,
        line.language,
        str(line.policy_version),
        line.arm,
        line.status,
        f"{line.passed}/{line.total}",
        score(line.score),
        _yes(line.solved),
    ]


def _print_attempt(view: AttemptView) -> None:
    verdict = "solved" if view.solved else "not solved"
    write_line(f"attempt {view.number} of run r{view.run_id}: {view.instance_id} ({view.language})")
    write_line(view.description)
    write_line(
        f"{view.status}, {view.passed} of {view.total} tests passed, score {score(view.score)}, {verdict}"
    )
    write_line(
        f"policy version {view.policy_version}, {view.arm} arm, group {view.group_no}, {moment(view.ts_ns)}"
    )
    write_line(
        f"used {view.cpu_s:.3f} s CPU, {view.wall_s:.3f} s, {view.max_rss_mb:.1f} MB; "
        f"jail {view.rung or 'unknown'}, engine {view.engine or 'unknown'}"
    )
    write_block("code", view.code)
    write_table(_PART_COLUMNS, [[name, score(value)] for name, value in view.parts.items()])
    write_table(_CASE_COLUMNS, _case_cells(view))
    for violation in view.violations:
        write_line(f"violation: {violation}")
    if view.feedback and view.feedback.fault != "none":
        write_line(_told(view.feedback))
    for title, text in (("stdout", view.stdout), ("stderr", view.stderr)):
        if text:
            write_block(title, text)


def _told(feedback: ToolFeedback) -> str:
    place = f" in line {feedback.line}" if feedback.line else ""
    blamed = sum(weight > 0 for weight in feedback.blame)
    tokens = f"; {blamed} of {len(feedback.blame)} tokens to blame" if feedback.blame else ""
    return f"fault: {feedback.fault}{place}, severity {feedback.severity:.2f}{tokens}"


def _case_cells(view: AttemptView) -> list[list[str]]:
    return [
        [str(place), _yes(case.passed), _yes(case.hidden), case.got]
        for place, case in enumerate(view.cases, start=1)
    ]


def _yes(value: bool) -> str:
    return "yes" if value else "no"
