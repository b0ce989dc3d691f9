"""altlas attempt show and diff: one attempt in full, and what two programs have not in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import msgspec

from altlas_agent.cli.history.opening import reading
from altlas_agent.cli.naming.arguments import Place
from altlas_agent.cli.naming.completing import complete_runs
from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import (
    Column,
    is_coloured,
    moment,
    score,
    write_block,
    write_foreign,
    write_json,
    write_line,
    write_table,
)
from altlas_agent.core.records import Strategy
from altlas_agent.core.text import safe
from storage.reading import queries

if TYPE_CHECKING:
    from altlas_agent.core.records import ToolFeedback
    from storage.reading.views import AttemptView

_PART_COLUMNS = (Column("scorer"), Column("score", is_number=True))
_CASE_COLUMNS = (Column("test"), Column("passed"), Column("hidden"), Column("got"))
_PLAIN = Strategy(name="plain")
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


@click.command("show")
@click.argument("run", metavar="RUN", shell_complete=complete_runs)
@click.argument("number", type=click.IntRange(min=0), required=False)
@click.option("--code", is_flag=True, help="Write the program alone, byte for byte.")
@home_option
@json_option
def show_attempt(*, run: str, number: int | None, code: bool, home: str | None, as_json: bool) -> None:
    """Show one attempt in full: RUN NUMBER, or RUN/NUMBER (r3 120, r3/120, @latest/7)."""
    view = _find(Place.of(run) if number is None else Place(run, number), home)
    if code:
        write_foreign(view.code.encode())
    elif as_json:
        write_json(view)
    else:
        _print_attempt(view)


@click.command("diff")
@click.argument("one", metavar="RUN/N")
@click.argument("other", metavar="RUN/N")
@click.option(
    "-U", "--context", type=click.IntRange(min=0), default=3, show_default=True, help="Equal lines around."
)
@home_option
@json_option
def diff_attempts(*, one: str, other: str, context: int, home: str | None, as_json: bool) -> None:
    """Compare the programs of two attempts, line by line."""
    from difflib import unified_diff

    views = [_find(Place.of(place), home) for place in (one, other)]
    names = [f"r{view.run_id}/{view.number}" for view in views]
    before, after = (view.code.split("\n") for view in views)
    lines = list(unified_diff(before, after, names[0], names[1], lineterm="", n=context))
    if as_json:
        write_json(
            {"attempts": names, "equal": not lines, "scores": [view.score for view in views], "diff": lines}
        )
        return
    for name, view in zip(names, views, strict=True):
        write_line(f"{name}: {view.instance_id} ({view.language}), {view.status}, score {score(view.score)}")
    if not lines:
        write_line("the programs are equal")
    for line in lines:
        _write_difference(line)


def _find(place: Place, home: str | None) -> AttemptView:
    with reading(home) as connection:
        return queries.find_attempt(connection, queries.find_run(connection, place.run).id, place.number)


def _write_difference(line: str) -> None:
    text = safe(line, keep_newlines=False)
    click.echo(click.style(text, fg=_COLOURS.get(line[:1])) if is_coloured() else text)


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
    if view.strategy:
        write_line(_drawn(view.strategy))
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


def _drawn(strategy: Strategy) -> str:
    """The name of a strategy, and what of it is not as it comes."""
    numbers = ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in msgspec.structs.asdict(strategy).items()
        if name != "name" and value != getattr(_PLAIN, name)
    )
    return f"strategy {strategy.name}" + (f": {numbers}" if numbers else "")


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
