"""altlas attempt: list, search, show and compare the programs of runs."""

from __future__ import annotations

import click

from altlas_agent.cli.formats.form import Form, form_options
from altlas_agent.cli.formats.listing import Cut, Shown, write_listing
from altlas_agent.cli.history.finding import NOTHING, Found, Wanted, best, newest
from altlas_agent.cli.history.opening import NO_RUNS, has_runs, reading
from altlas_agent.cli.history.programs import diff_attempts, show_attempt
from altlas_agent.cli.naming.arguments import Place, run_option
from altlas_agent.cli.options import home_option
from altlas_agent.cli.output import score
from altlas_agent.core.records import Arm, Status
from storage.reading import queries
from storage.reading.views import AttemptLine

_Shown = Shown[AttemptLine]
_COLUMNS = (
    _Shown("run", lambda line: f"r{line.run_id}"),
    _Shown("attempt", lambda line: str(line.number), is_number=True),
    _Shown("task", lambda line: line.task),
    _Shown("language", lambda line: line.language),
    _Shown("version", lambda line: str(line.policy_version), is_number=True),
    _Shown("arm", lambda line: line.arm),
    _Shown("status", lambda line: line.status),
    _Shown("tests", lambda line: f"{line.passed}/{line.total}", is_number=True),
    _Shown("score", lambda line: score(line.score), is_number=True),
    _Shown("solved", lambda line: "yes" if line.solved else "no"),
)
_STATUSES = tuple(status.value for status in Status)
_ARMS = tuple(arm.value for arm in Arm)
_NEWEST, _BEST = "newest", "best"


@click.group()
def attempt() -> None:
    """Look at the attempts of a run."""


attempt.add_command(show_attempt, "show")
attempt.add_command(diff_attempts, "diff")


@attempt.command("list")
@run_option
@click.option("--task", metavar="TASK", help="Only this task: suite/name, or name alone.")
@click.option("--solved", is_flag=True, help="Only attempts that solved their task.")
@click.option(
    "--status", type=click.Choice(_STATUSES), metavar="STATUS", help=f"Only one of {', '.join(_STATUSES)}."
)
@click.option("--min-score", type=float, metavar="X", help="Only attempts with this score or more.")
@click.option("--arm", type=click.Choice(_ARMS), metavar="ARM", help=f"Only one of {', '.join(_ARMS)}.")
@click.option("--version", type=click.IntRange(min=0), metavar="N", help="Only of this policy version.")
@click.option(
    "--sort",
    type=click.Choice((_NEWEST, _BEST)),
    default=_NEWEST,
    show_default=True,
    metavar="ORDER",
    help="By newest, or by best: the scores of one whole run.",
)
@click.option("--before", metavar="RUN/N", help="Only attempts older than this one: the next page.")
@form_options()
@home_option
def list_attempts(  # noqa: PLR0913 - one parameter per option
    *,
    run: str | None,
    task: str | None,
    solved: bool,
    status: str | None,
    min_score: float | None,
    arm: str | None,
    version: int | None,
    sort: str,
    before: str | None,
    form: Form,
    home: str | None,
) -> None:
    """List attempts, newest first."""
    wanted = Wanted(
        run=run,
        task=task,
        solved=solved,
        status=Status(status) if status else None,
        min_score=min_score,
        arm=Arm(arm) if arm else None,
        version=version,
        before=Place.of(before) if before else None,
        limit=form.limit,
    )
    if sort == _BEST and not wanted.is_whole_run:
        raise click.UsageError("--sort best is for one whole run: --run RUN, and no other filter")
    found = NOTHING
    if run is not None or has_runs(home):
        with reading(home) as connection:
            found = (best if sort == _BEST else newest)(connection, wanted)
    _write(found, form, by_number=sort == _NEWEST, empty="no such attempts" if has_runs(home) else NO_RUNS)


@attempt.command("search")
@click.argument("words", nargs=-1, required=True)
@run_option
@click.option("--before", type=click.IntRange(min=0), metavar="ID", help="Only hits older than this `id`.")
@form_options()
@home_option
def search(
    *, words: tuple[str, ...], run: str | None, before: int | None, form: Form, home: str | None
) -> None:
    """Find programs that hold all these words, newest first.

    Each program is found once, and only if it solved its task or came nearest; the newest attempts may be
    missing for a moment. Letters, digits, _ and $ make words; other signs only separate them.
    """
    lines: list[AttemptLine] = []
    if run is not None or has_runs(home):
        with reading(home) as connection:
            lines = queries.search_attempts(
                connection,
                " ".join(words),
                run_id=None if run is None else queries.find_run(connection, run).id,
                before=queries.NEWEST if before is None else before,
                limit=form.size or -1,
            )
    is_cut = bool(form.limit) and len(lines) > form.limit
    lines = lines[: form.limit] if is_cut else lines
    cut = Cut(is_cut, None if is_cut or before else len(lines), f"--before {lines[-1].id}" if is_cut else "")
    write_listing(
        lines, form, kind=AttemptLine, columns=_COLUMNS, cut=cut, empty="no program holds these words"
    )


def _write(found: Found, form: Form, *, by_number: bool, empty: str) -> None:
    lines = found.lines
    following = f"--before r{lines[-1].run_id}/{lines[-1].number}" if by_number and lines else ""
    cut = Cut(found.is_cut, found.total, following)
    write_listing(lines, form, kind=AttemptLine, columns=_COLUMNS, cut=cut, empty=empty)
