"""The statements of the writer: one `executemany` per table, and the totals that follow from them.

Everything here runs inside a transaction of the caller. Writing the same rows twice changes nothing:
a retry after a lost acknowledgement is safe. `ON CONFLICT` names the key it forgives, so that a row
that breaks any other rule fails its group instead of vanishing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from storage.rows import (
    AttemptRow,
    CheckpointRow,
    EventRow,
    MetricRow,
    task_row,
)

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from altlas_agent.core.records import Task
    from storage.rows import EndRow, Rows, RunRow


def _insert(table: str, fields: Sequence[str], *, key: str) -> str:
    columns = ", ".join(f'"{name}"' for name in fields)
    places = ", ".join("?" for _ in fields)
    return f"INSERT INTO {table} ({columns}) VALUES ({places}) ON CONFLICT ({key}) DO NOTHING"


def _insert_attempt() -> str:
    columns = ", ".join("task_id" if name == "task_key" else name for name in AttemptRow._fields)
    task = "(SELECT id FROM tasks WHERE run_id = ?1 AND key = ?2)"
    places = ", ".join(task if place == 2 else f"?{place}" for place in range(1, len(AttemptRow._fields) + 1))
    return f"INSERT INTO attempts ({columns}) VALUES ({places}) ON CONFLICT (run_id, number) DO NOTHING"


_ATTEMPT = _insert_attempt()
_METRIC = _insert("metrics", MetricRow._fields, key="run_id, name, version")
_EVENT = _insert("events", EventRow._fields, key="run_id, seq")
_CHECKPOINT = _insert("checkpoints", CheckpointRow._fields, key="run_id, version")
_TASK = (
    "INSERT INTO tasks (run_id, key, name, language, kind, rung, difficulty, description, spec_json, attempts) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"
)
_RUN = (
    "INSERT INTO runs (name, suite, seed, started_ns, version, pid, settings_json, status, reason, jail_rung, "
    "jail_layers, attempts, solved, tasks, wall_s) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, 'running', '', '', '[]', 0, 0, 0, 0)"
)
_COUNT_TASKS = "UPDATE runs SET tasks = (SELECT count(*) FROM tasks WHERE run_id = runs.id) WHERE id = ?"

_STORED_NUMBERS = "SELECT number FROM attempts WHERE run_id = ? AND number BETWEEN ? AND ?"
_ADD_TO_TASK = (
    "UPDATE tasks SET attempts = attempts + ?1, best_score = max(coalesce(best_score, ?2), ?2) "
    "WHERE run_id = ?3 AND key = ?4"
)
_ADD_TO_RUN = (
    "UPDATE runs SET attempts = attempts + ?1, best_score = max(coalesce(best_score, ?2), ?2) WHERE id = ?3"
)
_SOLVE_TASK = (
    "UPDATE tasks SET solved_attempt = ?3 WHERE run_id = ?1 AND key = ?2 "
    "AND (solved_attempt IS NULL OR solved_attempt > ?3)"
)
_COUNT_SOLVED = (
    "UPDATE runs SET solved = (SELECT count(*) FROM tasks WHERE run_id = runs.id AND solved_attempt IS NOT NULL) "
    "WHERE id = ?"
)
_JAIL = "UPDATE runs SET jail_rung = ?2, jail_layers = ?3 WHERE id = ?1"
_END = (
    "UPDATE runs SET status = ?2, reason = ?3, ended_ns = ?4, "
    "wall_s = coalesce(?5, max(0, ?4 - started_ns) / 1e9) WHERE id = ?1"
)
_END_IF_RUNNING = f"{_END} AND status = 'running'"
_LAST_SIGN = (
    "coalesce((SELECT wall_ns FROM events WHERE run_id = runs.id ORDER BY seq DESC LIMIT 1), started_ns)"
)
_CLOSE_STALE = (
    "UPDATE runs SET status = 'crashed', reason = 'its process ended without a word', "
    f"ended_ns = {_LAST_SIGN}, wall_s = max(0, {_LAST_SIGN} - started_ns) / 1e9 WHERE status = 'running'"
)


class _Key(NamedTuple):
    run_id: int
    task_key: str


def insert(connection: sqlite3.Connection, rows: Rows) -> None:
    """Write `rows` and bring the totals of their runs and tasks up to date."""
    assert connection.in_transaction, "outside of a transaction each row would be a commit of its own"
    if rows.events:
        connection.executemany(_EVENT, rows.events)
    if rows.attempts:
        _insert_attempts(connection, rows.attempts)
    if rows.metrics:
        connection.executemany(_METRIC, rows.metrics)
    if rows.checkpoints:
        connection.executemany(_CHECKPOINT, rows.checkpoints)
    if rows.solved:
        connection.executemany(_SOLVE_TASK, rows.solved)
        connection.executemany(_COUNT_SOLVED, {(row.run_id,) for row in rows.solved})
    if rows.jails:
        connection.executemany(_JAIL, rows.jails)
    if rows.ends:
        connection.executemany(_END_IF_RUNNING, rows.ends)


def begin_run(connection: sqlite3.Connection, run: RunRow, tasks: Iterable[Task]) -> int:
    """Write a new run with its tasks and return its number."""
    run_id = connection.execute(_RUN, run).lastrowid
    assert run_id is not None, "an INSERT of one row has a row id"
    connection.executemany(_TASK, (task_row(run_id, task) for task in tasks))
    connection.execute(_COUNT_TASKS, (run_id,))
    return run_id


def end_run(connection: sqlite3.Connection, end: EndRow) -> None:
    """Write how a run ended, whatever was written about that before."""
    connection.execute(_END, end)


def close_stale_runs(connection: sqlite3.Connection) -> None:
    """Mark as crashed what says it is running: the caller holds the lock of the home, so nothing is."""
    connection.execute(_CLOSE_STALE)


def _insert_attempts(connection: sqlite3.Connection, attempts: list[AttemptRow]) -> None:
    fresh = _unseen(connection, attempts)
    connection.executemany(_ATTEMPT, fresh)
    scores: defaultdict[_Key, list[float]] = defaultdict(list)
    for row in fresh:
        scores[_Key(row.run_id, row.task_key)].append(row.score)
    for key, values in scores.items():
        connection.execute(_ADD_TO_TASK, (len(values), max(values), *key))
        connection.execute(_ADD_TO_RUN, (len(values), max(values), key.run_id))


def _unseen(connection: sqlite3.Connection, attempts: list[AttemptRow]) -> list[AttemptRow]:
    """The attempts that are not stored yet, each once: only these may count in the totals."""
    numbers: defaultdict[int, list[int]] = defaultdict(list)
    for row in attempts:
        numbers[row.run_id].append(row.number)
    seen = {
        (run_id, number)
        for run_id, wanted in numbers.items()
        for (number,) in connection.execute(_STORED_NUMBERS, (run_id, min(wanted), max(wanted)))
    }
    fresh: list[AttemptRow] = []
    for row in attempts:
        if (row.run_id, row.number) not in seen:
            seen.add((row.run_id, row.number))
            fresh.append(row)
    return fresh
