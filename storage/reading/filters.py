"""Which runs are meant: by suite, status, tags and time, in the order that is asked for.

Runs are few, beside what they hold: they may be looked at one by one, and sorted.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.records import Record
from storage.reading.queries import NEWEST
from storage.reading.status import CRASHED, RUNNING, as_it_is, is_alive
from storage.reading.views import RunView

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator


class Order(enum.StrEnum):
    """By what runs are sorted; among equals the newest comes first."""

    NEWEST = "newest"
    OLDEST = "oldest"
    NAME = "name"
    SOLVED = "solved"
    BEST = "best"
    ATTEMPTS = "attempts"
    TIME = "time"


class RunFilter(Record):
    """Which runs; `since_ns` is the time from which they began. `before` is the number of a run.

    A run has to have all of the `tags`.
    """

    suite: str | None = None
    status: str | None = None
    tags: tuple[str, ...] = ()
    since_ns: int | None = None
    before: int = NEWEST


_MADE = {
    "note": "coalesce(r.note, '')",
    "tags": "(SELECT json_group_array(tag) FROM run_tags WHERE run_id = r.id)",
}
_COLUMNS = ", ".join(f"{_MADE.get(name, f'r.{name}')} AS {name}" for name in RunView.__struct_fields__)
_TEXTS = ("jail_layers", "tags")
"""Columns that hold JSON arrays."""

_ORDERS = {
    Order.NEWEST: "r.id DESC",
    Order.OLDEST: "r.id",
    Order.NAME: "r.name, r.id DESC",
    Order.SOLVED: "CAST(r.solved AS REAL) / max(r.tasks, 1) DESC, r.id DESC",
    Order.BEST: "r.best_score DESC, r.id DESC",
    Order.ATTEMPTS: "r.attempts DESC, r.id DESC",
    Order.TIME: "r.wall_s DESC, r.id DESC",
}
_STATUS = (
    f"iif(r.status = '{RUNNING}' AND r.id IN (SELECT value FROM json_each(:gone)), '{CRASHED}', r.status)"
)
RUNNING_RUNS = f"SELECT id, pid FROM runs WHERE status = '{RUNNING}'"


def filtered_runs(
    connection: sqlite3.Connection,
    which: RunFilter,
    *,
    order: Order = Order.NEWEST,
    limit: int = 50,
) -> list[RunView]:
    """The first runs in this order, with the status that is true; all of them if `limit` is 0."""
    parameters = {**_parameters(connection, which), "limit": limit or -1}
    cursor = connection.execute(runs_sql(which, order), parameters)
    names = [column[0] for column in cursor.description]
    return [as_it_is(_view(dict(zip(names, row, strict=True)))) for row in cursor.fetchall()]


def count_filtered(connection: sqlite3.Connection, which: RunFilter) -> int:
    """How many runs are meant."""
    return int(connection.execute(runs_count_sql(which), _parameters(connection, which)).fetchone()[0])


def runs_sql(which: RunFilter, order: Order) -> str:
    """The statement behind `filtered_runs` for filters of this shape."""
    where = " AND ".join(_conditions(which))
    return f"SELECT {_COLUMNS} FROM runs AS r WHERE {where} ORDER BY {_ORDERS[order]} LIMIT :limit"


def runs_count_sql(which: RunFilter) -> str:
    """The statement behind `count_filtered` for filters of this shape."""
    return f"SELECT count(*) FROM runs AS r WHERE {' AND '.join(_conditions(which))}"


def _conditions(which: RunFilter) -> Iterator[str]:
    yield "r.id > 0 AND r.id < :before"  # run 0 is the journal of the daemon
    if which.suite is not None:
        yield "r.suite = :suite"
    if which.status is not None:
        yield f"{_STATUS} = :status"
    if which.tags:
        yield (
            "(SELECT count(*) FROM run_tags AS g WHERE g.run_id = r.id "
            "AND g.tag IN (SELECT value FROM json_each(:tags))) = :num_tags"
        )
    if which.since_ns is not None:
        yield "r.started_ns >= :since"


def _parameters(connection: sqlite3.Connection, which: RunFilter) -> dict[str, int | str | None]:
    running: list[tuple[int, int]] = connection.execute(RUNNING_RUNS).fetchall()
    return {
        "before": which.before,
        "suite": which.suite,
        "status": which.status,
        "since": which.since_ns,
        "tags": msgspec.json.encode(which.tags).decode(),
        "num_tags": len(set(which.tags)),
        "gone": msgspec.json.encode([run for run, pid in running if not is_alive(pid)]).decode(),
    }


def _view(fields: dict[str, int | float | str | None]) -> RunView:
    lists = {name: msgspec.json.decode(str(fields[name])) for name in _TEXTS}
    return msgspec.convert({**fields, **lists}, RunView, strict=False)
