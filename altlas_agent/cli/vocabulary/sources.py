"""Programs that nobody proposed: folders of sources, and the solutions of suites."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from altlas_agent.cli.output import note

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.cli.options import Command
    from altlas_agent.core.records import Task
    from altlas_agent.evaluation.vocabulary.pieces import Survey

_SHOWN_SKIPPED = 5


def sources_options(command: Command) -> Command:
    """Adds `folders: tuple[Path, ...]` and `suites: tuple[str, ...]`, for `surveyed`."""
    for option in (
        click.option(
            "--suite",
            "suites",
            multiple=True,
            metavar="SUITE",
            help="Solutions of this suite, a name or a path. May be repeated. [default: all shipped ones]",
        ),
        click.option(
            "--from",
            "folders",
            multiple=True,
            type=click.Path(path_type=Path, exists=True),
            metavar="FOLDER",
            help="Sources that one would like to say: a folder, or one file. May be repeated.",
        ),
    ):
        command = option(command)
    return command


def surveyed(folders: tuple[Path, ...], suites: tuple[str, ...]) -> Survey:
    """What the vocabulary cannot say of them; files that cannot be read are named on stderr."""
    # Imported here: a report about runs reads no sources, and starts without what reads them.
    from altlas_agent.evaluation.vocabulary.outside import Surveyor

    surveyor = Surveyor()
    for folder in folders:
        surveyor.read_folder(folder)
    surveyor.read_tasks(tasks_of(suites))
    survey = surveyor.survey()
    for skipped in survey.skipped[:_SHOWN_SKIPPED]:
        note(f"left out: {skipped}")
    if len(survey.skipped) > _SHOWN_SKIPPED:
        note(f"left out: {len(survey.skipped) - _SHOWN_SKIPPED} more")
    return survey


def tasks_of(suites: tuple[str, ...]) -> Iterator[Task]:
    """The tasks of these suites, of a family its first; of all shipped suites if none is named."""
    from altlas_agent.tasks.loader import load_suite, shipped_suites

    for name in suites or shipped_suites():
        for entry in load_suite(name).entries:
            yield entry.instance()
