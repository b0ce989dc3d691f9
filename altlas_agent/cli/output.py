"""What commands write on stdout: JSON for programs; tables and foreign text for people, made harmless."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from altlas_agent.core.text import safe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_GAP = "  "
_INDENT = "    "
_NS_PER_S = 1_000_000_000


class Column(NamedTuple):
    """The head of a column; numbers stand at its right edge."""

    title: str
    is_number: bool = False


def write_json(value: object) -> None:
    """One line of JSON. Records become objects; text is passed on as it is.

    What a terminal might obey is escaped there, as JSON allows: a program would read the same.
    """
    data = msgspec.json.encode(value)
    if sys.stdout.isatty():
        data = "".join(
            letter if letter.isprintable() else _escaped(letter) for letter in data.decode()
        ).encode()
    click.echo(data)


def write_foreign(data: bytes) -> None:
    """What a program reads, byte for byte and in UTF-8; on a terminal it is made harmless."""
    click.echo(safe(data.decode(errors="replace")) if sys.stdout.isatty() else data, nl=False)


def write_rows_json(
    rows: Sequence[object],
    *,
    total: int | None,
    is_cut: bool | None = None,
    extra: Mapping[str, object] | None = None,
) -> None:
    """The envelope of every list: the rows, when they were read, how many there are, whether some are missing.

    `total` is None where counting takes too long; then `is_cut` says whether there are more.
    """
    from datetime import UTC, datetime

    write_json(
        {
            "as_of": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "rows": rows,
            "truncated": total is not None and len(rows) < total if is_cut is None else is_cut,
            "total": total,
            "counts": {"shown": len(rows), "total": total},
            **(extra or {}),
        }
    )


def write_table(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """A table: drawn and coloured on a terminal, plain columns elsewhere. Cells may hold foreign text."""
    cells = [[safe(cell, keep_newlines=False) for cell in row] for row in rows]
    if sys.stdout.isatty():
        _draw(columns, cells)
    else:
        _write_plain(columns, cells)


def write_line(text: str) -> None:
    """One line of text that may be foreign."""
    click.echo(safe(text, keep_newlines=False))


def write_block(title: str, text: str) -> None:
    """Foreign text of several lines under a title of ours, indented so that it cannot pass for output."""
    write_line(f"{title}:")
    for line in safe(text).split("\n"):
        click.echo(f"{_INDENT}{line}".rstrip())


def note(text: str) -> None:
    """Say something about the data, beside it."""
    click.echo(safe(text), err=True)


def note_truncation(shown: int, total: int) -> None:
    if shown < total:
        note(f"{shown} of {total}; --limit 0 for all")


def is_coloured() -> bool:
    """True when stdout is a terminal that takes colours, and nobody has switched them off."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def moment(ns: int) -> str:
    """A time of day here, for example 2026-03-01 14:05:59."""
    return datetime.fromtimestamp(ns // _NS_PER_S).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float) -> str:
    """42.1 s, 3 min 05 s or 2 h 07 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest_s:02} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def score(value: float | None) -> str:
    """Three places; only a full score shows as 1.000. A dash where there is none."""
    if value is None:
        return "-"
    return "0.999" if 0.999 < value < 1 else f"{value:.3f}"


def _escaped(letter: str) -> str:
    units = letter.encode("utf-16-be")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def _draw(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    # Imported here: it costs as much as all else, and only a terminal needs it.
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE, pad_edge=False)
    for column in columns:
        table.add_column(Text(column.title), justify="right" if column.is_number else "left", overflow="fold")
    for row in cells:
        table.add_row(*(Text(cell) for cell in row))  # Text: what looks like markup stays text
    Console(highlight=False).print(table)


def _write_plain(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    lines = [[column.title for column in columns], *cells]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    for line in lines:
        padded = (
            cell.rjust(width) if column.is_number else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        )
        click.echo(_GAP.join(padded).rstrip())
