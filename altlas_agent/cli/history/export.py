"""altlas run export: what a run holds as a file of lines, CSV or Parquet."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click
import msgspec

from altlas_agent.cli.formats.files import replacing
from altlas_agent.cli.formats.frame import frame_of
from altlas_agent.cli.history.opening import reading
from altlas_agent.cli.naming.arguments import run_argument
from altlas_agent.cli.options import home_option
from altlas_agent.cli.output import note
from storage.reading import export, queries
from storage.reading.events import EventLine
from storage.reading.views import AttemptView

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Generator, Iterator, Sequence
    from contextlib import AbstractContextManager

    from altlas_agent.core.records import Record

    Write = Callable[[Sequence[Record]], object]
    """Writes a page of rows."""

_STDOUT = "-"


class Source(NamedTuple):
    """What can be exported: of which kind its rows are, and how they are read."""

    kind: type[Record]
    pages: Callable[[sqlite3.Connection, int], Iterator[Sequence[Record]]]


SOURCES = {
    "attempts": Source(AttemptView, export.attempts),
    "metrics": Source(export.MetricLine, export.metrics),
    "events": Source(EventLine, export.events),
    "code": Source(export.ProgramLine, export.programs),
}


@click.command("export")
@run_argument
@click.option(
    "--what",
    type=click.Choice(list(SOURCES)),
    default="attempts",
    show_default=True,
    metavar="WHAT",
    help="attempts in full, metrics, events, or code: each distinct program once.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    default=_STDOUT,
    metavar="FILE",
    help="A .jsonl, .csv or .parquet file; without it JSON lines go to stdout.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@home_option
def export_run(*, run: str, what: str, output: Path, force: bool, home: str | None) -> None:
    """Write all that RUN holds of one kind to a file, oldest first.

    The file is complete or not there. Of a run that goes on it holds what was stored when this began.
    """
    source = SOURCES[what]
    sink = _sink(output)
    if not force and str(output) != _STDOUT and output.exists():
        raise click.UsageError(f"{output} is there already: say --force to replace it")
    count = 0
    with reading(home) as connection:
        run_id = queries.find_run(connection, run).id
        with sink(output, source.kind) as write:
            for page in source.pages(connection, run_id):
                write(page)
                count += len(page)
    if str(output) != _STDOUT:
        note(f"{output}: {count} {'programs' if what == 'code' else what} of run r{run_id}")


def _sink(output: Path) -> Callable[[Path, type[Record]], AbstractContextManager[Write]]:
    name = output.name.lower()
    if str(output) == _STDOUT:
        return _json_lines_to_stdout
    for suffix, sink in ((".jsonl", _json_lines), (".csv", _csv), (".parquet", _parquet)):
        if name.endswith(suffix):
            return sink
    raise click.UsageError(f"what kind of file is {output}? Its name must end with .jsonl, .csv or .parquet")


@contextmanager
def _json_lines_to_stdout(_: Path, __: type[Record]) -> Generator[Write]:
    encode = msgspec.json.Encoder().encode_lines
    yield lambda rows: click.echo(encode(rows), nl=False)


@contextmanager
def _json_lines(file: Path, _: type[Record]) -> Generator[Write]:
    encode = msgspec.json.Encoder().encode_lines
    with replacing(file) as part, part.open("wb") as stream:
        yield lambda rows: stream.write(encode(rows))


@contextmanager
def _csv(file: Path, kind: type[Record]) -> Generator[Write]:
    from altlas_agent.cli.formats.separated import encoded

    with replacing(file) as part, part.open("wb") as stream:
        stream.write(encoded(kind.__struct_fields__, []))
        yield lambda rows: stream.write(encoded([], frame_of(rows, kind).rows))


@contextmanager
def _parquet(file: Path, kind: type[Record]) -> Generator[Write]:
    from altlas_agent.cli.formats.parquet import parquet_file

    frame = frame_of([], kind)
    with parquet_file(file, frame.names, frame.kinds) as opened:
        yield lambda rows: opened.write(frame_of(rows, kind).rows)
