"""altlas vocab propose and apply: a vocabulary that lacks something, or has too much, on its way to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from altlas_agent.cli.formats.files import replacing
from altlas_agent.cli.history.opening import has_runs, reading
from altlas_agent.cli.naming.arguments import run_option
from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import note, write_foreign, write_json, write_line
from altlas_agent.evaluation.vocabulary.outside import Survey, Surveyor
from altlas_agent.evaluation.vocabulary.proposals import Proposal, proposal_text, read_proposal
from altlas_agent.tasks.loader import load_suite, shipped_suites

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.core.records import Task
    from altlas_agent.languages.usage.counts import Tally

_SHOWN_SKIPPED = 5


@click.command()
@click.option(
    "--from",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    metavar="FOLDER",
    help="Sources that one would like to say: a folder, or one file. May be repeated.",
)
@click.option(
    "--suite",
    "suites",
    multiple=True,
    metavar="SUITE",
    help="Solutions of this suite, a name or a path. May be repeated. [default: all shipped ones]",
)
@run_option
@click.option(
    "--least",
    type=click.IntRange(min=1),
    default=3,
    show_default=True,
    metavar="N",
    help="Only forms that were met so often.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    metavar="N",
    help="How many tokens to add, at most.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where the proposal goes; without it, to stdout.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@home_option
def propose(
    *,
    folders: tuple[Path, ...],
    suites: tuple[str, ...],
    run: str | None,
    least: int,
    limit: int,
    output: Path | None,
    force: bool,
    home: str | None,
) -> None:
    """Propose tokens to add, and tokens to do without, as a file to complete and to apply.

    Added are the most frequent forms of sources and of solutions that no token says. Retired are tokens that
    no attempt of a run, or of all runs, has, nor anything that was read.
    """
    from altlas_agent.evaluation.vocabulary.proposing import proposal

    if output is not None and output.exists() and not force:
        raise click.UsageError(f"{output} is there already: say --force to replace it")
    survey = _survey(folders, suites)
    tally = _tally(home, run)
    made = proposal(survey, _written(tally), least=least, most=limit, attempts=tally.programs)
    _tell(survey, made)
    if output is None:
        write_foreign(proposal_text(made))
        return
    with replacing(output) as part:
        part.write_bytes(proposal_text(made))
    note(f"{output}: complete it, then: altlas vocab apply {output} --to FOLDER")


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--to",
    "folder",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="A new folder for the changed files, laid out as configs/ is.",
)
@json_option
def apply(*, file: Path, folder: Path, as_json: bool) -> None:
    """Check a proposal, and write the configuration files that it changes to a folder, all or none.

    New tokens come last, since attempts are stored with their numbers; a token that is retired keeps its
    number, and is offered no more. Nothing that is installed is touched: look at the files, then put them in
    the place of those in configs/. A run that goes on needs the vocabulary that it began with.
    """
    from altlas_agent.evaluation.vocabulary.applying import changed_files, write_files

    proposal = read_proposal(file)
    texts = changed_files(proposal, _tasks(()))
    write_files(texts, folder)
    written = [str(folder / path) for path in texts]
    if as_json:
        write_json({"added": len(proposal.add), "retired": len(proposal.retire), "files": written})
        return
    for path in written:
        write_line(path)
    note(f"{len(proposal.add)} tokens added, {len(proposal.retire)} retired")


def _survey(folders: tuple[Path, ...], suites: tuple[str, ...]) -> Survey:
    surveyor = Surveyor()
    for folder in folders:
        surveyor.read_folder(folder)
    surveyor.read_tasks(_tasks(suites))
    return surveyor.survey()


def _tasks(suites: tuple[str, ...]) -> Iterator[Task]:
    for name in suites or shipped_suites():
        for entry in load_suite(name).entries:
            yield entry.instance()


def _tally(home: str | None, run: str | None) -> Tally:
    from altlas_agent.cli.vocabulary.report import read_uses
    from altlas_agent.languages.usage.counts import Tally

    if run is None and not has_runs(home):
        return Tally()
    with reading(home) as connection:
        return read_uses(connection, run, None).tally


def _written(tally: Tally) -> dict[str, int]:
    from altlas_agent.languages.usage.counts import token_lines

    return {line.token: line.count for line in token_lines(tally)}


def _tell(survey: Survey, made: Proposal) -> None:
    note(
        f"{survey.programs} programs read, {survey.whole} of them can be said whole; "
        f"{len(made.add)} tokens to add, {len(made.retire)} to retire"
    )
    for skipped in survey.skipped[:_SHOWN_SKIPPED]:
        note(f"left out: {skipped}")
    if len(survey.skipped) > _SHOWN_SKIPPED:
        note(f"left out: {len(survey.skipped) - _SHOWN_SKIPPED} more")
