"""Rows as CSV, byte for byte: what contains a comma, a quote or the end of a line stands in quotes."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

from altlas_agent.cli.formats.frame import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_LINE_END = "\r\n"


class _UnixLines(io.StringIO):
    r"""Lines that end with \n, of a writer that quotes \r only where lines end with it."""

    def write(self, line: str, /) -> int:
        return super().write(line.removesuffix(_LINE_END) + "\n")


def encoded(names: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    """A line of names, unless there are none, and a line for each row, in UTF-8."""
    lines = _UnixLines(newline="")
    writer = csv.writer(lines, lineterminator=_LINE_END)
    if names:
        writer.writerow(names)
    for row in rows:
        writer.writerow([text_of(value) for value in row])
    return lines.getvalue().encode(errors="surrogateescape")
