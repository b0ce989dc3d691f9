"""Options that several commands share."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from altlas_agent.settings.load import Loaded

Command = TypeVar("Command", bound="Callable[..., object]")


def home_option(command: Command) -> Command:
    """Adds `home: str | None`, for daemon.home.resolve_home()."""
    return click.option(
        "--home",
        metavar="FOLDER",
        help="The home: database and runs. [default: ALTLAS_HOME, else your data folder]",
    )(command)


def json_option(command: Command) -> Command:
    """Adds `as_json: bool`. An error is then an object on stdout as well."""
    return click.option("--json", "as_json", is_flag=True, help="Write JSON instead of text for people.")(
        command
    )


def settings_options(command: Command) -> Command:
    """Adds `profile: str | None` and `assignments: tuple[str, ...]`, for read_settings()."""
    for option in (
        click.option(
            "--set",
            "assignments",
            multiple=True,
            metavar="KEY=VALUE",
            help="Change one setting, for example run.seed=7. May be repeated.",
        ),
        click.option("--profile", metavar="NAME", help="The profile to start from: tiny, laptop or gpu."),
    ):
        command = option(command)
    return command


def read_settings(
    *,
    profile: str | None,
    assignments: Sequence[str],
    options: Mapping[str, tuple[str, object]] | None = None,
) -> Loaded:
    """The settings a command works with.

    `options` are options of the command that stand for settings: dotted key -> (spelling, value), for
    example {"run.seed": ("--seed", 7)}; None as the value means that the option was not given.
    """
    # Imported here because read commands share this module and start without pydantic.
    from altlas_agent.settings.load import load_here
    from altlas_agent.settings.reading.sources import Flag

    given = {
        key: Flag(option, value) for key, (option, value) in (options or {}).items() if value is not None
    }
    return load_here(assignments, profile=profile, flags=given)
