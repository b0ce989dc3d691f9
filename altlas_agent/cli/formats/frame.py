"""Rows of plain values under names: what every form for programs is written from."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

import msgspec

from altlas_agent.core.errors import UsageError
from altlas_agent.core.records import Record

if TYPE_CHECKING:
    from collections.abc import Sequence

Row = TypeVar("Row", bound=Record)

Value: TypeAlias = object
"""None, bool, int, float, str, bytes, or a record, a tuple or a dict of such."""


class Frame(NamedTuple):
    """Columns and rows; `kinds` are the types of the columns, where they are known."""

    names: tuple[str, ...]
    rows: Sequence[tuple[Value, ...]]
    kinds: tuple[object, ...] = ()


def frame_of(rows: Sequence[Row], kind: type[Row]) -> Frame:
    """Records as rows, their fields as columns."""
    fields = msgspec.structs.fields(kind)
    return Frame(
        names=tuple(field.name for field in fields),
        rows=[msgspec.structs.astuple(row) for row in rows],
        kinds=tuple(field.type for field in fields),
    )


def chosen(frame: Frame, names: tuple[str, ...]) -> Frame:
    """Only these columns, in this order; all of them if none is named. Raises UsageError for an unknown one."""
    if not names:
        return frame
    for name in names:
        if name not in frame.names:
            raise UsageError(_no_field(name, frame.names))
    places = [frame.names.index(name) for name in names]
    rows = [tuple(row[place] for place in places) for row in frame.rows]
    return Frame(names, rows, tuple(frame.kinds[place] for place in places) if frame.kinds else ())


def json_value(value: Value) -> Value:
    """The value as JSON has it: bytes become hexadecimal digits."""
    return value.hex() if isinstance(value, bytes) else value


def text_of(value: Value) -> str:
    """The value as text: "" for none, hexadecimal digits for bytes, JSON for what has parts."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bytes():
            return value.hex()
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case _:
            return msgspec.json.encode(value).decode()


def _no_field(name: str, names: tuple[str, ...]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"no field {name!r}; {hint}there are {', '.join(names)}"
