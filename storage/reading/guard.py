"""A connection for questions of strangers: it can only read, only for so long, and only so much.

`mode=ro` keeps the file as it is, the authorizer refuses every statement but SELECT, the length of values
and of patterns is bounded (a progress handler does not stop a single long step), and what takes too long is
interrupted. The schema that is promised is that of the views in `storage.reading.published`; they are
temporary and made before the guard is set, so that they change with the program and not with the file.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.core.errors import AltlasError, UsageError
from storage.database import naming, open_reader, translate
from storage.reading.published import publish

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from storage.reading.published import Functions

SECONDS = 5.0
"""How long a question may take."""

MAX_ROWS = 10_000
"""How many rows are answered unless more are asked for."""

LONGEST = 1_000_000
"""How many bytes a value may have, and a statement."""

MAX_ANSWER_BYTES = 256 * 1024 * 1024
"""About how much memory an answer may take."""

_STEPS = 10_000
"""After so many steps of SQLite the time is looked at."""

_LONGEST_PATTERN = 200
_WARM = (
    "SELECT 1 FROM json_each('[]')",
    "SELECT 1 FROM json_tree('[]')",
    "SELECT 1 FROM program_search LIMIT 0",
)
"""Virtual tables are declared at their first use, which the authorizer refuses."""

_LIMITS = (
    (sqlite3.SQLITE_LIMIT_LENGTH, LONGEST),
    (sqlite3.SQLITE_LIMIT_SQL_LENGTH, LONGEST),
    (sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, _LONGEST_PATTERN),
    (sqlite3.SQLITE_LIMIT_ATTACHED, 0),
    (sqlite3.SQLITE_LIMIT_WORKER_THREADS, 0),
)
_ALLOWED = frozenset(
    {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE}
)
_REFUSED_FUNCTIONS = frozenset({"load_extension", "fts3_tokenizer"})
_REFUSALS = ("not authorized", "prohibited", "vtable constructor failed")
_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR})

Value = None | int | float | str | bytes


class Answer(NamedTuple):
    """What a question was answered with; the names of the columns differ from each other."""

    names: tuple[str, ...]
    rows: list[tuple[Value, ...]]
    is_cut: bool
    """True when there are more rows."""


class Guarded:
    """Answers questions in SQL. Made by `open_guarded`."""

    def __init__(
        self, connection: sqlite3.Connection, functions: Functions, path: Path, *, seconds: float
    ) -> None:
        self._connection = connection
        self._functions = functions
        self._path = path
        self._seconds = seconds
        self._deadline = 0.0
        connection.set_progress_handler(self._is_late, _STEPS)
        connection.set_authorizer(_authorise)

    def ask(self, sql: str, parameters: Sequence[Value] = (), *, limit: int = MAX_ROWS) -> Answer:
        """The answer to one SELECT, of at most `limit` rows; all of them if it is 0.

        Raises UsageError when it is not understood, not allowed, too big or takes too long, and
        DatabaseDamagedError.
        """
        self._deadline = time.monotonic() + self._seconds
        try:
            cursor = self._connection.execute(sql, parameters)
            try:
                return self._fetched(cursor, limit)
            finally:
                cursor.close()  # an open statement would pin the WAL
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise self._refusal(error) from error

    def _fetched(self, cursor: sqlite3.Cursor, limit: int) -> Answer:
        if cursor.description is None:
            raise UsageError('there is no SELECT in it: altlas query "SELECT * FROM v_runs"')
        rows: list[tuple[Value, ...]] = []
        size = 0
        for row in cursor:
            if limit and len(rows) == limit:
                return Answer(_distinct(cursor), rows, is_cut=True)
            rows.append(row)
            size += _size(row)
            if size > MAX_ANSWER_BYTES:
                raise UsageError(
                    f"the answer takes more than {MAX_ANSWER_BYTES >> 20} MB: ask for fewer columns or rows"
                )
            if self._is_late():
                raise self._too_late()
        return Answer(_distinct(cursor), rows, is_cut=False)

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline

    def _too_late(self) -> UsageError:
        return UsageError(
            f"the query took longer than {self._seconds:g} s and was ended: ask for less, "
            "or by what is indexed (run_id, number, task)"
        )

    def _refusal(self, error: Exception) -> AltlasError:
        if failure := self._functions.failure:
            return failure
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code == sqlite3.SQLITE_INTERRUPT:
            return self._too_late()
        if code in _CORRUPT and isinstance(error, sqlite3.Error):
            return translate(error, self._path)
        if code == sqlite3.SQLITE_AUTH or any(words in str(error) for words in _REFUSALS):
            return UsageError(
                f"the query was refused ({error}): only SELECT is allowed, and nothing that writes"
            )
        if code == sqlite3.SQLITE_TOOBIG:
            return UsageError(
                f"a value or the query is longer than {LONGEST} bytes: take a part of it with substr"
            )
        return UsageError(f"the query was not understood: {error}; what there is: altlas query --schema")


@contextmanager
def open_guarded(path: Path, *, seconds: float = SECONDS) -> Generator[Guarded]:
    """A guarded connection to the database at `path`. Raises as `storage.database.open_reader`."""
    connection, texts = open_reader(path), open_reader(path)
    try:
        with naming(path):
            functions = publish(connection, texts)
            for statement in _WARM:
                connection.execute(statement).fetchall()
        for limit, value in _LIMITS:
            connection.setlimit(limit, value)
        yield Guarded(connection, functions, path, seconds=seconds)
    finally:
        connection.close()
        texts.close()


def _authorise(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action == sqlite3.SQLITE_FUNCTION and second in _REFUSED_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    # FTS5 asks with it whether its index has changed.
    if action in _ALLOWED or (action, first) == (sqlite3.SQLITE_PRAGMA, "data_version"):
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _distinct(cursor: sqlite3.Cursor) -> tuple[str, ...]:
    """The names of the columns; one that comes again gets a number."""
    names: list[str] = []
    for name, *_ in cursor.description:
        count = sum(each == name or each.rpartition("_")[0] == name for each in names)
        names.append(f"{name}_{count + 1}" if name in names else name)
    return tuple(names)


def _size(row: tuple[Value, ...]) -> int:
    return sum(64 + (len(value) if isinstance(value, str | bytes) else 0) for value in row)
