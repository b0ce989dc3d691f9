"""What people write for runs, attempts and times, and the options that take it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click

from altlas_agent.cli.naming.completing import complete_runs

if TYPE_CHECKING:
    from collections.abc import Callable

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,6})([smhdw])")

Command = TypeVar("Command", bound="Callable[..., object]")


def since(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """For an option: nanoseconds since the epoch, from `7d`, `12h`, `30m`, `2026-03-01` or `2026-03-01T14:05`."""
    if value is None:
        return None
    try:
        return int(_then(value).timestamp() * 1e9)
    except (ValueError, OverflowError) as error:
        problem = f"{value!r} is no time: say 7d, 12h or 30m for how long ago, or a date as 2026-03-01"
        raise click.BadParameter(problem, ctx, param) from error


def _then(text: str) -> datetime:
    if ago := _AGO.fullmatch(text):
        return datetime.now().astimezone() - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    return datetime.fromisoformat(text).astimezone()  # without a zone it is the time here


class Place(NamedTuple):
    """An attempt as it was named: a run, and a number in it."""

    run: str
    number: int

    @classmethod
    def of(cls, words: str) -> Place:
        """From `r12/340`. Raises click.UsageError."""
        run, slash, number = words.rpartition("/")
        if not slash or not number.isascii() or not number.isdigit() or len(number) > 18:
            raise click.UsageError(f"say which attempt: {words} NUMBER, or {words}/NUMBER")
        return cls(run, int(number))


def run_argument(command: Command) -> Command:
    """Adds `run: str`: one run, by whatever names it."""
    return click.argument("run", metavar="RUN", shell_complete=complete_runs)(command)


def run_option(command: Command) -> Command:
    """Adds `run: str | None`: only this run."""
    return click.option(
        "--run",
        metavar="RUN",
        shell_complete=complete_runs,
        help="Only this run: r12, 12, @latest, tag:best or a name. [default: all runs]",
    )(command)
