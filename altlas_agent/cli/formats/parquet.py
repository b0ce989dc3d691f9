"""Rows as a Parquet file. pyarrow is an extra, and takes longer to load than a short command runs."""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Protocol, Union, cast, get_args, get_origin

from altlas_agent.cli.formats.files import replacing
from altlas_agent.cli.formats.frame import Frame, text_of
from altlas_agent.core.errors import ServiceMissingError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from altlas_agent.cli.formats.frame import Value

_PLAIN: dict[object, str] = {bool: "bool_", int: "int64", float: "float64", str: "string", bytes: "binary"}
"""What a plain type is called in pyarrow."""

_LISTS: dict[object, object] = {bool: list[bool], int: list[int], float: list[float], str: list[str]}


class _Type(Protocol):
    """A pyarrow.DataType."""


class _Writer(Protocol):
    """A pyarrow.parquet.ParquetWriter."""

    def write_table(self, table: object) -> None: ...
    def close(self) -> None: ...


class _Tables(Protocol):
    def from_arrays(self, arrays: Sequence[object], *, schema: object) -> object: ...


class _Arrow(Protocol):
    """What is used of pyarrow, which has no types of its own."""

    Table: _Tables

    def array(self, values: Sequence[Value], type: _Type) -> object: ...  # noqa: A002 - its name there
    def schema(self, fields: Sequence[tuple[str, _Type]]) -> object: ...
    def list_(self, of: _Type) -> _Type: ...


class _Parquet(Protocol):
    def ParquetWriter(self, where: str, schema: object, *, compression: str) -> _Writer: ...


class ParquetFile:
    """A file under way; every page of rows becomes a group of its own."""

    def __init__(self, arrow: _Arrow, writer: _Writer, schema: object, kinds: Sequence[object]) -> None:
        self._arrow = arrow
        self._writer = writer
        self._schema = schema
        self._kinds = kinds

    def write(self, rows: Sequence[tuple[Value, ...]]) -> None:
        columns = list(zip(*rows, strict=True)) or [()] * len(self._kinds)
        arrays = [
            self._arrow.array([_fitting(value, kind) for value in values], type=_type(self._arrow, kind))
            for values, kind in zip(columns, self._kinds, strict=True)
        ]
        self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))


def write_parquet(file: Path, frame: Frame) -> None:
    """Write all rows. Raises ServiceMissingError without pyarrow, click.FileError when it cannot be written."""
    kinds = frame.kinds or [_seen([row[place] for row in frame.rows]) for place in range(len(frame.names))]
    with parquet_file(file, frame.names, kinds) as opened:
        opened.write(frame.rows)


@contextmanager
def parquet_file(file: Path, names: Sequence[str], kinds: Sequence[object]) -> Generator[ParquetFile]:
    """A file to which pages of rows are written, with a type for each column. Raises as `write_parquet`."""
    arrow, parquet = _load()
    plain = [_plain_kind(kind) for kind in kinds]
    schema = arrow.schema([(name, _type(arrow, kind)) for name, kind in zip(names, plain, strict=True)])
    with replacing(file) as part:
        writer = parquet.ParquetWriter(str(part), schema, compression="zstd")
        try:
            yield ParquetFile(arrow, writer, schema, plain)
        finally:
            writer.close()


def _load() -> tuple[_Arrow, _Parquet]:
    try:
        return cast("_Arrow", import_module("pyarrow")), cast("_Parquet", import_module("pyarrow.parquet"))
    except ImportError as error:
        raise ServiceMissingError(
            "a Parquet file is written with pyarrow, which is not installed: pip install 'altlas[export]'"
        ) from error


def _plain_kind(kind: object) -> object:
    """bool, int, float, str, bytes, or a list of one of them; what has other parts is text."""
    if kind in _PLAIN:
        return kind
    origin, args = get_origin(kind), get_args(kind)
    if origin in {UnionType, Union}:
        rest = [each for each in args if each is not NoneType]
        return _plain_kind(rest[0]) if len(rest) == 1 else str
    return _LISTS.get(args[0], str) if origin in {tuple, list} else str


def _type(arrow: _Arrow, kind: object) -> _Type:
    if get_origin(kind) is list:
        return arrow.list_(_type(arrow, get_args(kind)[0]))
    make = cast("Callable[[], _Type]", getattr(arrow, _PLAIN[kind]))
    return make()


def _fitting(value: Value, kind: object) -> Value:
    return text_of(value) if kind is str and value is not None else value


def _seen(values: Sequence[Value]) -> object:
    """The kind that fits all of them: text where they differ."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return float
    return kinds.pop() if len(kinds) == 1 else str
