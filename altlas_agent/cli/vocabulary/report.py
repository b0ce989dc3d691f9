"""altlas vocab report: tokens, pairs of tokens and clusters of them in the attempts of runs."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

import click

from altlas_agent.cli.formats.form import Form, Kind, form_options
from altlas_agent.cli.formats.listing import Cut, Shown, write_listing
from altlas_agent.cli.history.opening import NO_RUNS, has_runs, reading
from altlas_agent.cli.naming.arguments import run_option
from altlas_agent.cli.options import home_option
from altlas_agent.cli.output import note
from altlas_agent.evaluation.vocabulary.clusters import THRESHOLD, ClusterLine, Programs, clusters
from altlas_agent.languages.usage.counts import (
    PairLine,
    Tally,
    TokenLine,
    Written,
    pair_lines,
    token_lines,
)
from storage.reading import queries
from storage.reading.filters import RunFilter, filtered_runs
from storage.runs.usage import token_uses

if TYPE_CHECKING:
    import sqlite3

    from storage.runs.usage import TokenUse

_Token, _Pair, _Cluster = Shown[TokenLine], Shown[PairLine], Shown[ClusterLine]
_TOKENS = (
    _Token("token", lambda line: line.token),
    _Token("role", lambda line: line.role),
    _Token("count", lambda line: str(line.count), is_number=True),
    _Token("share", lambda line: f"{line.share:.1%}", is_number=True),
    _Token("solved", lambda line: str(line.solved), is_number=True),
    _Token("failed", lambda line: str(line.failed), is_number=True),
    _Token("lift", lambda line: f"{line.lift:+.2f}", is_number=True),
    _Token("balance", lambda line: "-" if line.balance is None else f"{line.balance:+.2f}", is_number=True),
    _Token("use", lambda line: "retired" if line.retired else line.use),
)
_PAIRS = (
    _Pair("first", lambda line: line.first),
    _Pair("second", lambda line: line.second),
    _Pair("programs", lambda line: str(line.programs), is_number=True),
    _Pair("solved", lambda line: str(line.solved), is_number=True),
    _Pair("share", lambda line: f"{line.share:.1%}", is_number=True),
    _Pair("lift", lambda line: f"{line.lift:+.2f}", is_number=True),
)
_CLUSTERS = (
    _Cluster("tokens", lambda line: " ".join(line.tokens)),
    _Cluster("programs", lambda line: str(line.programs), is_number=True),
    _Cluster("solved", lambda line: str(line.solved), is_number=True),
    _Cluster("phi", lambda line: f"{line.phi:.2f}", is_number=True),
    _Cluster("fingerprint", lambda line: line.fingerprint or "-"),
)
_LEAST = 5


class What(enum.StrEnum):
    """What a report is about."""

    TOKENS = "tokens"
    PAIRS = "pairs"
    CLUSTERS = "clusters"


class Used(NamedTuple):
    """What was read from the store."""

    tally: Tally
    programs: Programs
    runs: int


@click.command()
@run_option
@click.option("--task", metavar="TASK", help="Only this task: suite/name, or name alone.")
@click.option(
    "--what",
    type=click.Choice([each.value for each in What]),
    default=What.TOKENS.value,
    show_default=True,
    metavar="WHAT",
    help="tokens, pairs of them in one program, or clusters that come and go together.",
)
@click.option(
    "--least",
    type=click.IntRange(min=1),
    default=_LEAST,
    show_default=True,
    metavar="N",
    help="Only pairs that are in so many programs.",
)
@click.option(
    "--threshold",
    type=click.FloatRange(min=0, max=1, min_open=True),
    default=THRESHOLD,
    show_default=True,
    metavar="X",
    help="How strongly the tokens of a cluster are tied: a correlation.",
)
@form_options()
@home_option
def report(
    *,
    run: str | None,
    task: str | None,
    what: str,
    least: int,
    threshold: float,
    form: Form,
    home: str | None,
) -> None:
    """How the tokens of the vocabulary are used by the attempts of a run, or of all runs.

    `lift` tells whether a token is in programs that solve (above 0) or in those that fail, `balance` whether it
    is written more (above 0) or less than the other tokens of its role: doubled with each step of 1. For pairs
    `lift` is how much more often they come together than by chance.
    """
    used = Used(Tally(), Programs(), 0)
    if run is not None or has_runs(home):
        with reading(home) as connection:
            used = read_uses(connection, run, task)
    empty = "no attempts with tokens" if has_runs(home) else NO_RUNS
    extra = {"runs": used.runs, "programs": used.tally.programs, "solved": used.tally.solved}
    match What(what):
        case What.TOKENS:
            lines = token_lines(used.tally) if used.tally.programs else []
            shown = lines[: form.limit] if form.limit else lines
            cut = Cut(len(shown) < len(lines), len(lines))
            write_listing(shown, form, kind=TokenLine, columns=_TOKENS, cut=cut, empty=empty, extra=extra)
        case What.PAIRS:
            pairs = pair_lines(used.tally, least=least)
            first = pairs[: form.limit] if form.limit else pairs
            cut = Cut(len(first) < len(pairs), len(pairs))
            write_listing(first, form, kind=PairLine, columns=_PAIRS, cut=cut, empty=empty, extra=extra)
        case What.CLUSTERS:
            groups = clusters(used.programs.all(), threshold=threshold)
            top = groups[: form.limit] if form.limit else groups
            cut = Cut(len(top) < len(groups), len(groups))
            none = "no tokens come and go together" if used.tally.programs else empty
            write_listing(top, form, kind=ClusterLine, columns=_CLUSTERS, cut=cut, empty=none, extra=extra)
    if form.kind is Kind.TABLE and used.tally.programs:
        note(f"{used.tally.programs} attempts of {used.runs} runs, {used.tally.solved} of them solved")


def read_uses(connection: sqlite3.Connection, run: str | None, task: str | None) -> Used:
    """The attempts of one run, or of all, by their tokens. Raises NotFoundError when there is no such run."""
    if run is not None:
        ids = [queries.find_run(connection, run).id]
    else:
        ids = [view.id for view in filtered_runs(connection, RunFilter(), limit=0)]
    tally, programs = Tally(), Programs()
    for run_id in ids:
        for page in token_uses(connection, run_id):
            uses = [use for use in page if _is_wanted(use, task)]
            tally.add(Written(use.tokens, use.solved) for use in uses)
            for use in uses:
                programs.add(use.task, use.tokens, use.fingerprint, solved=use.solved)
    return Used(tally, programs, len(ids))


def _is_wanted(use: TokenUse, task: str | None) -> bool:
    return task is None or use.task == task or use.task.rpartition("/")[2] == task
