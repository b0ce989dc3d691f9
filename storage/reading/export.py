"""Everything that a run holds, in pages, for files: attempts in full, metrics, events, and distinct programs.

A run that goes on is read up to where it is when that is begun: pages go by key, and no statement stays open.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from altlas_agent.core.records import Record
from storage.bodies.reading import Library
from storage.packing.stored import stored_attempt
from storage.packing.vectors import unpack_fingerprint
from storage.reading.events import EventFilter, EventLine, next_events
from storage.reading.queries import last_number, last_seq
from storage.reading.views import AttemptView, attempt_view

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

PAGE = 500
_REMEMBERED = 2000

NUMBERS = (
    "SELECT number FROM attempts WHERE run_id = ? AND number > ? AND number <= ? ORDER BY number LIMIT ?"
)
METRICS_PAGE = (
    "SELECT name, version, value, ts_ns FROM metrics WHERE run_id = ? AND (name, version) > (?, ?) "
    "ORDER BY name, version LIMIT ?"
)
PROGRAMS_PAGE = (
    "SELECT a.number, a.code_id, t.key, t.language, a.policy_version, s.text, a.score, a.solved, a.fingerprint "
    "FROM attempts AS a CROSS JOIN tasks AS t ON t.id = a.task_id CROSS JOIN labels AS s ON s.id = a.status_id "
    "WHERE a.run_id = ? AND a.number > ? AND a.number <= ? ORDER BY a.number LIMIT ?"
)


class MetricLine(Record):
    """One number about one policy version; None stands for a value that was not finite."""

    name: str
    version: int
    value: float | None
    ts_ns: int


class ProgramLine(Record):
    """A program, by the attempt of the run that first proposed it, and how that one went."""

    run_id: int
    number: int
    task: str
    language: str
    policy_version: int
    status: str
    score: float
    solved: bool
    fingerprint: str
    code: str


def attempts(connection: sqlite3.Connection, run_id: int) -> Iterator[list[AttemptView]]:
    """All attempts of a run with all that is known about them, oldest first.

    Raises DatabaseDamagedError when a text cannot be read.
    """
    library = _Remembering(connection)
    after, last = 0, last_number(connection, run_id)
    while numbers := connection.execute(NUMBERS, (run_id, after - 1, last, PAGE)).fetchall():
        found = [stored_attempt(connection, library, run_id, number) for (number,) in numbers]
        yield [attempt_view(stored) for stored in found if stored is not None]
        after = numbers[-1][0] + 1


def programs(connection: sqlite3.Connection, run_id: int) -> Iterator[list[ProgramLine]]:
    """The distinct programs of a run, in the order in which they were first proposed. Raises as `attempts`."""
    library = Library(connection)
    seen: set[int] = set()
    after, last = 0, last_number(connection, run_id)
    while rows := connection.execute(PROGRAMS_PAGE, (run_id, after - 1, last, PAGE)).fetchall():
        lines: list[ProgramLine] = []
        for number, body, task, language, version, status, score, solved, fingerprint in rows:
            if body not in seen:
                seen.add(body)
                lines.append(
                    ProgramLine(
                        run_id=run_id,
                        number=number,
                        task=task,
                        language=language,
                        policy_version=version,
                        status=status,
                        score=score,
                        solved=bool(solved),
                        fingerprint=unpack_fingerprint(fingerprint),
                        code=library.text(body),
                    )
                )
        yield lines
        after = rows[-1][0] + 1


def metrics(connection: sqlite3.Connection, run_id: int) -> Iterator[list[MetricLine]]:
    """All metrics of a run, by name and version."""
    name, version = "", -1
    while rows := connection.execute(METRICS_PAGE, (run_id, name, version, PAGE)).fetchall():
        yield [
            MetricLine(name=name, version=version, value=value, ts_ns=ts) for name, version, value, ts in rows
        ]
        name, version = rows[-1][:2]


def events(connection: sqlite3.Connection, run_id: int) -> Iterator[list[EventLine]]:
    """All events of a run, in order. Raises as `attempts`."""
    after, last = 0, last_seq(connection, run_id)
    which = EventFilter(run_id=run_id)
    while after < last and (page := next_events(connection, which, after=after, limit=PAGE)):
        yield page
        after = page[-1].seq


class _Remembering(Library):
    """Most attempts share most of their texts: what they write, and what is said about it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection)
        self._remembered = lru_cache(_REMEMBERED)(super().text)

    def text(self, number: int) -> str:
        return self._remembered(number)
