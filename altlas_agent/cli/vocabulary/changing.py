"""altlas vocab propose and apply: a vocabulary that lacks something, or has too much, on its way to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from altlas_agent.cli.formats.files import replacing
from altlas_agent.cli.naming.arguments import run_option
from altlas_agent.cli.options import home_option, json_option
from altlas_agent.cli.output import note, write_foreign, write_json, write_line
from altlas_agent.cli.vocabulary.sources import sources_options, surveyed, tasks_of
from altlas_agent.cli.vocabulary.uses import read_uses
from altlas_agent.evaluation.vocabulary.proposals import proposal_text, read_proposal
from altlas_agent.languages.usage.counts import token_lines

if TYPE_CHECKING:
    from altlas_agent.evaluation.vocabulary.pieces import Survey
    from altlas_agent.evaluation.vocabulary.proposals import Proposal
    from altlas_agent.languages.usage.counts import Tally


@click.command()
@sources_options
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
    survey = surveyed(folders, suites)
    tally = read_uses(home, run).tally
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
    texts = changed_files(proposal, tasks_of(()))
    write_files(texts, folder)
    written = [str(folder / path) for path in texts]
    if as_json:
        write_json({"added": len(proposal.add), "retired": len(proposal.retire), "files": written})
        return
    for path in written:
        write_line(path)
    note(f"{len(proposal.add)} tokens added, {len(proposal.retire)} retired")


def _written(tally: Tally) -> dict[str, int]:
    return {line.token: line.count for line in token_lines(tally)}


def _tell(survey: Survey, made: Proposal) -> None:
    note(
        f"{survey.programs} programs read, {survey.whole} of them can be said whole; "
        f"{len(made.add)} tokens to add, {len(made.retire)} to retire"
    )
