"""The statements of the writer: one `executemany` per table, and the totals that follow from them.

Everything here runs inside a transaction of the caller. Writing the same rows twice changes nothing:
a retry after a lost acknowledgement is safe. `ON CONFLICT` names the key it forgives, so that a row
that breaks any other rule fails its group instead of vanishing.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from storage import rollups
from storage.packing.archive import COLUMNS
from storage.packing.replay import NEWEST, scored_payload
from storage.rows import AttemptRow, CheckpointRow, MetricRow, task_row
from storage.runs.marks import BEAT

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from altlas_agent.core.records import Task
    from storage.packing.archive import Archive
    from storage.rows import EndRow, EventRow, Rows, RunRow


def _insert(table: str, fields: Sequence[str], *, key: str) -> str:
    columns = ", ".join(f'"{name}"' for name in fields)
    places = ", ".join("?" for _ in fields)
    return f"INSERT INTO {table} ({columns}) VALUES ({places}) ON CONFLICT ({key}) DO NOTHING"


_ATTEMPT = _insert("attempts", COLUMNS, key="run_id, number")
_METRIC = _insert("metrics", MetricRow._fields, key="run_id, name, version")
# -1 for NULL: the driver spends as long on None as on five numbers.
_EVENT = (
    "INSERT INTO events (run_id, seq, type, monotonic_ns, wall_ns, cause_seq, attempt, payload) "
    "VALUES (?, ?, ?, ?, ?, nullif(?, -1), nullif(?, -1), ?) ON CONFLICT (run_id, seq) DO NOTHING"
)
_CHECKPOINT = _insert("checkpoints", CheckpointRow._fields, key="run_id, version")
_TASK = (
    "INSERT INTO tasks (run_id, key, name, language, kind, rung, difficulty, description, spec_json, attempts) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0)"
)
_RUN = (
    "INSERT INTO runs (name, suite, seed, started_ns, version, pid, settings_json, heartbeat_ns, status, reason, "
    "jail_rung, jail_layers, attempts, solved, tasks, wall_s) "
    "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?4, 'running', '', '', '[]', 0, 0, 0, 0)"
)
_COUNT_TASKS = "UPDATE runs SET tasks = (SELECT count(*) FROM tasks WHERE run_id = runs.id) WHERE id = ?"

_STORED_NUMBERS = "SELECT number FROM attempts WHERE run_id = ? AND number BETWEEN ? AND ?"
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
    "max(coalesce((SELECT wall_ns FROM events WHERE run_id = runs.id ORDER BY seq DESC LIMIT 1), started_ns), "
    "coalesce(heartbeat_ns, started_ns))"
)
_CLOSE_STALE = (
    "UPDATE runs SET status = 'crashed', reason = 'its process ended without a word', "
    f"ended_ns = {_LAST_SIGN}, wall_s = max(0, {_LAST_SIGN} - started_ns) / 1e9 WHERE status = 'running'"
)


def insert(connection: sqlite3.Connection, rows: Rows, archive: Archive) -> None:
    """Write `rows` and bring the sums of their runs and tasks up to date. `archive` is of this connection."""
    assert connection.in_transaction, "outside of a transaction each row would be a commit of its own"
    fresh = _insert_attempts(connection, rows.attempts, archive) if rows.attempts else []
    if rows.events:
        stored = set(map(id, fresh))
        connection.executemany(_EVENT, [_event(row, stored) for row in rows.events])
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
    if rows.heartbeats:
        connection.executemany(BEAT, rows.heartbeats)


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


def _insert_attempts(
    connection: sqlite3.Connection, attempts: list[AttemptRow], archive: Archive
) -> list[AttemptRow]:
    """Insert those that are not stored yet, each once, and return them: only these may count in the sums."""
    fresh = attempts if archive.are_behind_all(attempts) else _unseen(connection, attempts)
    narrow = archive.narrow(fresh)
    connection.executemany(_ATTEMPT, narrow)
    rollups.add(connection, narrow)
    return fresh


def _unseen(connection: sqlite3.Connection, attempts: list[AttemptRow]) -> list[AttemptRow]:
    numbers: defaultdict[int, list[int]] = defaultdict(list)
    for row in attempts:
        numbers[row.run_id].append(row.number)
    seen = {
        (run_id, number)
        for run_id, wanted in numbers.items()
        for (number,) in connection.execute(_STORED_NUMBERS, (run_id, min(wanted), max(wanted)))
    }
    fresh: dict[tuple[int, int], AttemptRow] = {}
    for row in attempts:
        key = (row.run_id, row.number)
        if key not in seen:
            fresh.setdefault(key, row)
    return list(fresh.values())


def _event(row: EventRow, stored: set[int]) -> tuple[int | str | bytearray, ...]:
    """The columns of an event. One that told of an attempt shares its texts with the attempt that it stored.

    `stored` are the identities of attempts that were inserted just now. One that was stored before may be
    another one under the same number: then the event stays whole.
    """
    run_id, seq, kind, monotonic_ns, wall_ns, cause_seq, payload = row
    number = -1
    if isinstance(payload, AttemptRow):
        is_stored = id(payload) in stored
        number = payload.number if is_stored else -1
        payload = NEWEST if is_stored else scored_payload(payload)
    cause = -1 if cause_seq is None else cause_seq
    return run_id, seq, kind, monotonic_ns, wall_ns, cause, number, bytearray(payload)
