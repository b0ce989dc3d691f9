"""A list, and how it is written in each form.

Programs get the fields of the rows as they are, under names that stay; people get columns made of them.
What a limit cut is always said: in the envelope of JSON, on stderr otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, NamedTuple

from altlas_agent.cli.formats.form import Kind
from altlas_agent.cli.formats.frame import Row, chosen, frame_of, json_value, text_of
from altlas_agent.cli.output import Column, note, write_foreign, write_rows_json, write_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from altlas_agent.cli.formats.form import Form
    from altlas_agent.cli.formats.frame import Frame, Value


@dataclass(frozen=True)
class Shown(Generic[Row]):
    """A column for people, and how it is made of a row."""

    title: str
    cell: Callable[[Row], str]
    is_number: bool = False


class Cut(NamedTuple):
    """What a limit left out, and how to see it."""

    is_cut: bool = False
    total: int | None = None
    """How many rows there are in all; None where counting them would take too long."""
    next_page: str = ""
    """The option that shows what comes next."""


def write_listing(
    rows: Sequence[Row],
    form: Form,
    *,
    kind: type[Row],
    columns: Sequence[Shown[Row]],
    cut: Cut,
    empty: str,
    extra: Mapping[str, Value] | None = None,
) -> None:
    """Write records as a list: for people in these columns, or as `empty` when there is none.

    `extra` joins the envelope of JSON.
    """
    if form.kind is not Kind.TABLE or form.fields:
        write_frame(frame_of(rows, kind), form, cut=cut, empty=empty, extra=extra)
    elif rows:
        heads = [Column(each.title, each.is_number) for each in columns]
        write_table(heads, [[each.cell(row) for each in columns] for row in rows])
        note_cut(len(rows), cut)
    else:
        note(empty)


def write_frame(
    frame: Frame, form: Form, *, cut: Cut, empty: str = "no rows", extra: Mapping[str, Value] | None = None
) -> None:
    """Write plain rows in the form that is asked for; `extra` joins the envelope of JSON."""
    frame = chosen(frame, form.fields)
    match form.kind:
        case Kind.JSON:
            rows = [dict(zip(frame.names, map(json_value, row), strict=True)) for row in frame.rows]
            write_rows_json(rows, total=cut.total, is_cut=cut.is_cut, extra=extra)
            return
        case Kind.CSV:
            from altlas_agent.cli.formats.separated import encoded

            write_foreign(encoded(frame.names, frame.rows))
        case Kind.PARQUET:
            from altlas_agent.cli.formats.parquet import write_parquet

            assert form.file is not None, "Parquet is asked for with a file"
            write_parquet(form.file, frame)
            note(f"{form.file}: {len(frame.rows)} rows")
        case Kind.TABLE:
            _write_for_people(frame, empty)
    note_cut(len(frame.rows), cut)


def note_cut(shown: int, cut: Cut) -> None:
    """Say how many rows were left out, and how to see them."""
    if cut.is_cut:
        of_all = f"{shown} of {cut.total}" if cut.total is not None else f"{shown}, and there are more"
        following = f"; next: {cut.next_page}" if cut.next_page else ""
        note(f"{of_all}; --limit 0 for all{following}")


def _write_for_people(frame: Frame, empty: str) -> None:
    if not frame.rows:
        note(empty)
        return
    heads = [
        Column(name, all(isinstance(row[place], int | float | None) for row in frame.rows))
        for place, name in enumerate(frame.names)
    ]
    write_table(heads, [[_cell(value) for value in row] for row in frame.rows])


def _cell(value: Value) -> str:
    if value is None:
        return "-"
    return f"{value:.10g}" if isinstance(value, float) else text_of(value)
