"""altlas vocab report: tokens, pairs of tokens and clusters of them in runs, and what no token says in sources."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

import click

from altlas_agent.cli.formats.form import Form, Kind, form_options
from altlas_agent.cli.formats.listing import Cut, Shown, write_listing
from altlas_agent.cli.history.opening import NO_RUNS, has_runs
from altlas_agent.cli.naming.arguments import run_option
from altlas_agent.cli.options import home_option
from altlas_agent.cli.output import note
from altlas_agent.cli.vocabulary.sources import sources_options, surveyed
from altlas_agent.cli.vocabulary.uses import read_uses
from altlas_agent.evaluation.vocabulary.clusters import THRESHOLD, ClusterLine, clusters
from altlas_agent.evaluation.vocabulary.pieces import UnknownLine
from altlas_agent.languages.usage.counts import PairLine, TokenLine, pair_lines, token_lines

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from altlas_agent.cli.formats.frame import Row

_Token, _Pair, _Cluster, _Unknown = Shown[TokenLine], Shown[PairLine], Shown[ClusterLine], Shown[UnknownLine]
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
_UNKNOWN = (
    _Unknown("language", lambda line: line.language),
    _Unknown("form", lambda line: line.shape),
    _Unknown("count", lambda line: str(line.count), is_number=True),
    _Unknown("programs", lambda line: str(line.programs), is_number=True),
    _Unknown("wanted", lambda line: line.sort),
    _Unknown("example", lambda line: line.example),
    _Unknown("where", lambda line: line.where),
)
_LEAST = 5


class What(enum.StrEnum):
    """What a report is about."""

    TOKENS = "tokens"
    PAIRS = "pairs"
    CLUSTERS = "clusters"
    UNKNOWN = "unknown"


_OPTIONS = {
    "--run": (What.TOKENS, What.PAIRS, What.CLUSTERS),
    "--task": (What.TOKENS, What.PAIRS, What.CLUSTERS),
    "--least": (What.PAIRS,),
    "--threshold": (What.CLUSTERS,),
    "--from": (What.UNKNOWN,),
    "--suite": (What.UNKNOWN,),
}
"""Option -> the reports in which it has an effect."""


class _Asked(NamedTuple):
    """What a report over runs is asked."""

    what: What
    run: str | None
    task: str | None
    least: int
    threshold: float


@click.command()
@run_option
@click.option("--task", metavar="TASK", help="Only this task: suite/name, or name alone.")
@click.option(
    "--what",
    type=click.Choice([each.value for each in What]),
    default=What.TOKENS.value,
    show_default=True,
    metavar="WHAT",
    help="tokens, pairs of them in one program, clusters that come and go together, or what is unknown.",
)
@click.option(
    "--least",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Only pairs that are in so many programs. [default: {_LEAST}]",
)
@click.option(
    "--threshold",
    type=click.FloatRange(min=0, max=1, min_open=True),
    metavar="X",
    help=f"How strongly the tokens of a cluster are tied: a correlation. [default: {THRESHOLD}]",
)
@sources_options
@form_options()
@home_option
def report(  # noqa: PLR0913 - one parameter per option
    *,
    run: str | None,
    task: str | None,
    what: str,
    least: int | None,
    threshold: float | None,
    folders: tuple[Path, ...],
    suites: tuple[str, ...],
    form: Form,
    home: str | None,
) -> None:
    """How the tokens of the vocabulary are used by the attempts of a run, or of all runs.

    `lift` tells whether a token is in programs that solve (above 0) or in those that fail, `balance` whether it
    is written more (above 0) or less than the other tokens of its role: doubled with each step of 1. For pairs
    `lift` is how much more often they come together than by chance. `--what unknown` looks at no runs, but at
    solutions and sources: what is there that no token says?
    """
    given = {
        "--run": run, "--task": task, "--least": least, "--threshold": threshold,
        "--from": folders or None, "--suite": suites or None,
    }  # fmt: skip
    _refuse_without_effect(What(what), {name for name, value in given.items() if value is not None})
    if what == What.UNKNOWN:
        _write_unknown(folders, suites, form)
        return
    _write_used(_Asked(What(what), run, task, least or _LEAST, threshold or THRESHOLD), form, home)


def _refuse_without_effect(what: What, given: set[str]) -> None:
    for option in sorted(given):
        if what not in _OPTIONS[option]:
            allowed = " or ".join(f"--what {each.value}" for each in _OPTIONS[option])
            raise click.UsageError(f"{option} has no effect on --what {what.value}: it is for {allowed}")


def _write_unknown(folders: tuple[Path, ...], suites: tuple[str, ...], form: Form) -> None:
    survey = surveyed(folders, suites)
    extra = {"programs": survey.programs, "whole": survey.whole}
    _write(
        survey.pieces, form, kind=UnknownLine, columns=_UNKNOWN, extra=extra, empty="there are tokens for all"
    )
    if form.kind is Kind.TABLE:
        note(f"{survey.programs} programs read, {survey.whole} of them can be said whole")


def _write_used(asked: _Asked, form: Form, home: str | None) -> None:
    used = read_uses(
        home,
        asked.run,
        asked.task,
        with_pairs=asked.what is What.PAIRS,
        with_programs=asked.what is What.CLUSTERS,
    )
    tally = used.tally
    empty = "no attempts with tokens" if has_runs(home) else NO_RUNS
    extra = {"runs": used.runs, "programs": tally.programs, "solved": tally.solved}
    match asked.what:
        case What.PAIRS:
            pairs = pair_lines(tally, least=asked.least)
            empty = "no pairs in so many programs" if tally.programs else empty
            _write(pairs, form, kind=PairLine, columns=_PAIRS, extra=extra, empty=empty)
        case What.CLUSTERS:
            groups = clusters(used.programs.all() if used.programs else (), threshold=asked.threshold)
            empty = "no tokens come and go together" if tally.programs else empty
            _write(groups, form, kind=ClusterLine, columns=_CLUSTERS, extra=extra, empty=empty)
        case _:
            lines = token_lines(tally) if tally.programs else []
            _write(lines, form, kind=TokenLine, columns=_TOKENS, extra=extra, empty=empty)
    if form.kind is Kind.TABLE and tally.programs:
        note(f"{tally.programs} attempts of {used.runs} runs, {tally.solved} of them solved")


def _write(
    lines: Sequence[Row],
    form: Form,
    *,
    kind: type[Row],
    columns: Sequence[Shown[Row]],
    extra: Mapping[str, object],
    empty: str,
) -> None:
    shown = lines[: form.limit] if form.limit else lines
    cut = Cut(len(shown) < len(lines), len(lines))
    write_listing(shown, form, kind=kind, columns=columns, cut=cut, empty=empty, extra=extra)
