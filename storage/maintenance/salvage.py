"""Reads what can be read of the tables of a damaged database, row by row around what cannot.

A damaged page takes the rows on it, and no others: behind a row that cannot be read, the next one that can
is looked for in growing steps.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_PAGE = 200
_FARTHEST = 2**62
_TYPES: dict[str, tuple[type, ...]] = {
    "INTEGER": (int,),
    "BOOLEAN": (int,),
    "FLOAT": (float, int),
    "VARCHAR": (str,),
    "TEXT": (str,),
    "BLOB": (bytes, str),
}
"""What a column of a declared type may hold: a damaged page may be read as something else."""

Row = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table as its own schema describes it. `key` are the columns of its primary key."""

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    nullable: tuple[bool, ...]
    key: tuple[str, ...]

    def is_sound(self, row: Row) -> bool:
        """False when a column holds what the table cannot hold."""
        return all(
            nullable if value is None else isinstance(value, _TYPES.get(kind, (object,)))
            for value, kind, nullable in zip(row, self.types, self.nullable, strict=True)
        )


def describe(connection: sqlite3.Connection, name: str) -> Table:
    """The table of this name in a database that is whole."""
    found = connection.execute(f'PRAGMA table_info("{name}")').fetchall()
    return Table(
        name=name,
        columns=tuple(row[1] for row in found),
        types=tuple(str(row[2]) for row in found),
        nullable=tuple(not row[3] and not row[5] for row in found),
        key=tuple(row[1] for row in sorted(found, key=lambda row: row[5]) if row[5]),
    )


def rows(connection: sqlite3.Connection, table: Table, runs: Sequence[int]) -> Iterator[Row | None]:
    """Every row that can be read, and None for each place where one could not. `runs` are those that are known."""
    select = f"SELECT {', '.join(_quoted(table.columns))} FROM {_quoted([table.name])[0]}"
    if len(table.key) == 1 and table.types[table.columns.index(table.key[0])] == "INTEGER":
        yield from _numbered(connection, table, select, None)
    elif table.key == ("run_id", "seq"):
        for run_id in runs:
            yield from _numbered(connection, table, select, run_id)
    else:
        yield from _from_both_ends(connection, table, select)


def _numbered(
    connection: sqlite3.Connection, table: Table, select: str, run_id: int | None
) -> Iterator[Row | None]:
    """Rows by the number that is the last column of their key."""
    place = table.columns.index(table.key[-1])
    key = _quoted([table.key[-1]])[0]
    within = "" if run_id is None else f"run_id = {run_id} AND "
    sql = f"{select} WHERE {within}{key} >= ? ORDER BY {key} LIMIT ?"

    def read(first: int, limit: int) -> list[Row] | None:
        try:
            return connection.execute(sql, (first, limit)).fetchall()
        except (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError):
            return None

    first = -1
    while first < _FARTHEST and (page := read(first, _PAGE)) != []:
        if page is None and (page := read(first, 1)) is None:
            yield None
            first = _next_readable(read, first)
            continue
        yield from page
        last = page[-1][place]
        if not isinstance(last, int) or last < first:  # a damaged page leads astray
            yield None
            return
        first = last + 1


def _next_readable(read: Callable[[int, int], list[Row] | None], first: int) -> int:
    """The lowest number behind `first` from which a row can be read, or the end be seen."""
    step = 1
    while read(first + step, 1) is None:
        if first + step > _FARTHEST:
            return _FARTHEST
        step *= 2
    unreadable, readable = first + step // 2, first + step
    while readable - unreadable > 1:
        middle = (readable + unreadable) // 2
        if read(middle, 1) is None:
            unreadable = middle
        else:
            readable = middle
    return readable


def _from_both_ends(connection: sqlite3.Connection, table: Table, select: str) -> Iterator[Row | None]:
    """Rows from the first to one that cannot be read, then from the last back to one."""
    places = [table.columns.index(name) for name in table.key]
    seen: set[Row] = set()
    for order in ("", " DESC"):
        keys = ", ".join(name + order for name in _quoted(table.key))
        try:
            for row in connection.execute(f"{select} ORDER BY {keys}"):
                key = tuple(row[place] for place in places)
                if key in seen:
                    return
                seen.add(key)
                yield row
        except (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError):
            yield None
        else:
            return


def _quoted(names: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in names]
