"""The options of every list: in which form it is written, which fields, how many rows."""

from __future__ import annotations

import enum
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_LIMIT = 50

_Result = TypeVar("_Result")


class Kind(enum.Enum):
    """For whom a list is written."""

    TABLE = "--table"
    JSON = "--json"
    CSV = "--csv"
    PARQUET = "--parquet"


class Form(NamedTuple):
    """How a list is to be written."""

    kind: Kind = Kind.TABLE
    file: Path | None = None
    """Where Parquet goes."""
    fields: tuple[str, ...] = ()
    """Which fields, in this order; none: all of them for programs, the usual columns for people."""
    limit: int = DEFAULT_LIMIT
    """How many rows; 0: all."""

    @property
    def size(self) -> int:
        """One row more than is shown, so that it is known whether there are more; 0: all."""
        return self.limit + 1 if self.limit else 0


def form_options(
    limit: int = DEFAULT_LIMIT,
) -> Callable[[Callable[..., _Result]], Callable[..., _Result]]:
    """Adds `form: Form` to a command that writes a list, and the options from which it is made."""

    def add(command: Callable[..., _Result]) -> Callable[..., _Result]:
        @wraps(command)
        def with_form(
            *,
            as_json: bool,
            as_csv: bool,
            parquet: Path | None,
            fields: str | None,
            limit: int,
            **others: object,
        ) -> _Result:
            kind = _kind(as_json=as_json, as_csv=as_csv, parquet=parquet)
            return command(form=Form(kind, parquet, _names(fields), limit), **others)

        decorated: Callable[..., _Result] = with_form
        for option in reversed(_options(limit)):
            decorated = option(decorated)
        return decorated

    return add


def _options(limit: int) -> list[Callable[[Callable[..., _Result]], Callable[..., _Result]]]:
    return [
        click.option(
            "--limit",
            type=click.IntRange(min=0),
            default=limit,
            show_default=True,
            metavar="N",
            help="How many rows; 0: all.",
        ),
        click.option("--fields", metavar="A,B,...", help="Only these fields, in this order."),
        click.option("--json", "as_json", is_flag=True, help="Write JSON instead of text for people."),
        click.option("--csv", "as_csv", is_flag=True, help="Write CSV with a line of names."),
        click.option(
            "--parquet",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Write a Parquet file (needs the extra: altlas[export]).",
        ),
    ]


def _kind(*, as_json: bool, as_csv: bool, parquet: Path | None) -> Kind:
    chosen = [
        kind
        for kind, is_asked in ((Kind.JSON, as_json), (Kind.CSV, as_csv), (Kind.PARQUET, parquet is not None))
        if is_asked
    ]
    if len(chosen) > 1:
        raise click.UsageError(f"{' and '.join(kind.value for kind in chosen)} exclude each other")
    return chosen[0] if chosen else Kind.TABLE


def _names(fields: str | None) -> tuple[str, ...]:
    if fields is None:
        return ()
    names = tuple(dict.fromkeys(name.strip() for name in fields.split(",")))
    if not all(names):
        raise click.UsageError("--fields needs names with commas between them, for example id,status")
    return names
