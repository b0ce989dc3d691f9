"""Is a database whole? SQLite's own checks, and what AltLAS promises of its rows.

Reads everything, on a reading connection: a writer may go on meanwhile, and each check sees one moment.
"""

from __future__ import annotations

import math
import sqlite3
from itertools import chain, islice
from typing import TYPE_CHECKING

from altlas_agent.core.errors import DatabaseDamagedError
from altlas_agent.core.records import Record
from storage.bodies.codec import Packed, Unpacker, hash_of
from storage.bodies.reading import DICTIONARY
from storage.fingerprints import NAME
from storage.rollups import STATUS_BITS, STRETCH
from storage.runs.marks import DELETING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_PROBLEMS = 20
"""How many problems of a kind are named; all are counted."""

_PAGE = 500
_TEXT_COLUMNS = ("code_id", "stdout_id", "stderr_id", "violations_id", "feedback_id", "strategy_id")
_LABEL_COLUMNS = ("arm_id", "status_id", "rung_id", "engine_id")
_REFERENCES = (
    *((column, "bodies") for column in _TEXT_COLUMNS),
    *((column, "labels") for column in _LABEL_COLUMNS),
    ("reward_schema_id", "reward_schemas"),
)
_DANGLING = " OR ".join(
    f"(a.{column} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {table} WHERE id = a.{column}))"
    for column, table in _REFERENCES
)
_DANGLING_ATTEMPTS = f"SELECT a.run_id, a.number FROM attempts AS a WHERE {_DANGLING}"
_ORPHANS = (
    "SELECT a.run_id, a.number FROM attempts AS a WHERE NOT EXISTS "
    "(SELECT 1 FROM tasks AS t JOIN runs AS r ON r.id = t.run_id WHERE t.id = a.task_id AND r.id = a.run_id)"
)
_DANGLING_SEARCHES = (
    "SELECT s.body_id, s.attempt_id FROM searched_bodies AS s WHERE NOT EXISTS "
    "(SELECT 1 FROM attempts AS a WHERE a.id = s.attempt_id AND a.code_id = s.body_id)"
)
_DANGLING_HASHES = (
    "SELECT h.body_id FROM body_hashes AS h WHERE NOT EXISTS "
    "(SELECT 1 FROM bodies AS b WHERE b.id = h.body_id AND b.hash = h.hash)"
)
_DANGLING_FINGERPRINTS = (
    "SELECT f.attempt_id FROM fingerprints AS f WHERE NOT EXISTS "
    "(SELECT 1 FROM attempts AS a WHERE a.id = f.attempt_id AND a.fingerprint = f.fingerprint)"
)
_MISSING_FINGERPRINTS = (
    f"SELECT a.run_id, a.number FROM attempts AS a WHERE a.id <= (SELECT position FROM positions "
    f"WHERE name = '{NAME}') AND NOT EXISTS "
    "(SELECT 1 FROM fingerprints AS f WHERE f.fingerprint = a.fingerprint AND f.attempt_id = a.id)"
)
_DANGLING_EVENTS = (
    "SELECT e.run_id, e.seq, e.attempt FROM events AS e WHERE e.attempt IS NOT NULL AND NOT EXISTS "
    "(SELECT 1 FROM attempts AS a WHERE a.run_id = e.run_id AND a.number = e.attempt)"
)
_WHOLE = f"run_id NOT IN (SELECT id FROM runs WHERE status = '{DELETING}')"
"""A run that is being taken away has lost a part already."""

HOLES = (
    "SELECT run_id, before + 1, seq - 1 FROM (SELECT run_id, seq, lag(seq, 1, 0) OVER "
    f"(PARTITION BY run_id ORDER BY seq) AS before FROM events WHERE {_WHOLE}) "
    "WHERE seq > before + 1"
)
_TOTALS = (
    (
        "SELECT 'run r' || r.id, r.attempts, r.best_score, count(a.id), max(a.score) FROM runs AS r "
        f"LEFT JOIN attempts AS a ON a.run_id = r.id WHERE r.status <> '{DELETING}' GROUP BY r.id"
    ),
    (
        "SELECT 'task ' || t.key || ' of run r' || t.run_id, t.attempts, t.best_score, count(a.id), max(a.score) "
        f"FROM tasks AS t LEFT JOIN attempts AS a ON a.task_id = t.id WHERE t.{_WHOLE} GROUP BY t.id"
    ),
)
COUNTED_TALLIES = (
    f"SELECT run_id, task_id, status_id, solved, count(*) FROM attempts WHERE {_WHOLE} GROUP BY 1, 2, 3, 4"
)
_KEPT_TALLIES = f"SELECT run_id, task_id, status_id, solved, attempts FROM tallies WHERE {_WHOLE}"
COUNTED_CURVES = (
    f"SELECT run_id, number / {STRETCH}, count(*), sum(solved), sum(score), max(score), "
    f"sum(DISTINCT 1 << status_id % {STATUS_BITS}) FROM attempts WHERE {_WHOLE} GROUP BY 1, 2"
)
_KEPT_CURVES = (
    f"SELECT run_id, stretch, attempts, solved, score_sum, score_max, statuses FROM curves WHERE {_WHOLE}"
)
_BODIES = "SELECT id, hash, dictionary, size, data FROM bodies WHERE id > ? ORDER BY id LIMIT ?"
_DICTIONARIES = (
    "SELECT 'dictionary ' || id, hash, data FROM dictionaries "
    "UNION ALL SELECT 'spare dictionary ' || id, hash, data FROM spare_dictionaries"
)


class Check(Record):
    """One question about a database. `problems` are the first of `count`."""

    name: str
    ok: bool
    count: int
    problems: tuple[str, ...]


def check(connection: sqlite3.Connection) -> tuple[Check, ...]:
    """Ask every question."""
    return tuple(_asked(connection, name, problems) for name, problems in CHECKS.items())


def bad_bodies(connection: sqlite3.Connection) -> Iterator[tuple[int, str]]:
    """The numbers of texts that cannot be read, and why."""
    unpacker = Unpacker(lambda number: _dictionary(connection, number))
    last = -1
    while page := connection.execute(_BODIES, (last, _PAGE)).fetchall():
        for number, *fields in page:
            try:
                unpacker.unpack(Packed(*fields))
            except DatabaseDamagedError as error:
                yield number, error.message
        last = page[-1][0]


def _asked(
    connection: sqlite3.Connection, name: str, problems: Callable[[sqlite3.Connection], Iterator[str]]
) -> Check:
    found = _until_unreadable(problems(connection))
    first = tuple(islice(found, MAX_PROBLEMS))
    count = len(first) + sum(1 for _ in found)
    return Check(name=name, ok=not count, count=count, problems=first)


def _until_unreadable(problems: Iterator[str]) -> Iterator[str]:
    try:
        yield from problems
    except sqlite3.DatabaseError as error:
        yield f"cannot be read to the end: {error}"


def _pages(connection: sqlite3.Connection) -> Iterator[str]:
    for (line,) in connection.execute("PRAGMA integrity_check(1000)").fetchall():
        if line != "ok":
            yield str(line)


def _references(connection: sqlite3.Connection) -> Iterator[str]:
    for table, _, parent, _ in connection.execute("PRAGMA foreign_key_check"):
        yield f"a row of {table} names a row of {parent} that is missing"
    for run_id, number in connection.execute(_ORPHANS):
        yield f"attempt r{run_id}/{number} is of a run or a task that is missing"
    for run_id, number in connection.execute(_DANGLING_ATTEMPTS):
        yield f"attempt r{run_id}/{number} names a text, a label or a reward schema that is missing"
    for run_id, seq, number in connection.execute(_DANGLING_EVENTS):
        yield f"event {seq} of run r{run_id} told of attempt {number}, which is missing"
    for body, attempt in connection.execute(_DANGLING_SEARCHES):
        yield f"text {body} is searched for attempt {attempt}, which is missing or has another program"
    for (body,) in connection.execute(_DANGLING_HASHES):
        yield f"a hash leads to text {body}, which is missing or has another"
    for (attempt,) in connection.execute(_DANGLING_FINGERPRINTS):
        yield f"a fingerprint leads to attempt {attempt}, which is missing or has another"
    for run_id, number in connection.execute(_MISSING_FINGERPRINTS):
        yield f"attempt r{run_id}/{number} cannot be found by its fingerprint"


def _events(connection: sqlite3.Connection) -> Iterator[str]:
    known = set(connection.execute("SELECT run_id, first_seq, last_seq FROM gaps"))
    for run_id, first, last in connection.execute(HOLES):
        if (run_id, first, last) not in known:
            yield f"run r{run_id} has no events {first} to {last}"


def _sums(connection: sqlite3.Connection) -> Iterator[str]:
    connection.execute("BEGIN")  # what is counted and what is kept must be of the same moment
    try:
        yield from _unlike_sums(connection)
    finally:
        connection.execute("ROLLBACK")


def _unlike_sums(connection: sqlite3.Connection) -> Iterator[str]:
    for name, attempts, best, counted, highest in chain.from_iterable(map(connection.execute, _TOTALS)):
        if (attempts, best) != (counted, highest):
            yield f"{name} says {attempts} attempts, best {best}; there are {counted}, best {highest}"
    yield from _differences(connection, "tallies", _KEPT_TALLIES, COUNTED_TALLIES)
    yield from _differences(connection, "curves", _KEPT_CURVES, COUNTED_CURVES)


def _differences(connection: sqlite3.Connection, table: str, kept: str, counted: str) -> Iterator[str]:
    """Rows that are not what is counted. Numbers stand at the end; the rest of a row is its key."""
    width = 4 if table == "tallies" else 2
    rows = {row[:width]: row[width:] for row in connection.execute(kept)}
    for row in connection.execute(counted):
        key, values = row[:width], row[width:]
        said = rows.pop(key, None)
        # A sum depends a little on the order in which it was made.
        if said is None or not all(map(_is_close, said, values)):
            yield f"{table} {key} says {said}; counted are {values}"
    yield from (f"{table} {key} counts attempts that are not there" for key in rows)


def _is_close(said: float, counted: float) -> bool:
    return math.isclose(said, counted, rel_tol=1e-9, abs_tol=1e-9)


def _texts(connection: sqlite3.Connection) -> Iterator[str]:
    for name, digest, data in connection.execute(_DICTIONARIES):
        if hash_of(data) != digest:
            yield f"{name} does not match its hash"
    yield from (f"text {number}: {message}" for number, message in bad_bodies(connection))


def _dictionary(connection: sqlite3.Connection, number: int) -> bytes:
    row = connection.execute(DICTIONARY, (number,)).fetchone()
    return b"" if row is None else bytes(row[0])


CHECKS: dict[str, Callable[[sqlite3.Connection], Iterator[str]]] = {
    "pages": _pages,
    "references": _references,
    "events": _events,
    "sums": _sums,
    "texts": _texts,
}
"""Name -> what finds the problems of that kind."""
