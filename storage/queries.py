"""Read-only questions: SQL text, and one thin function each. Nothing heavier than sqlite3 and msgspec.

Pages go by key, never by OFFSET over attempts, and are fetched completely: no statement stays open.
Every statement here is planned in a test: none scans the attempts, none sorts.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

import msgspec

from altlas_agent.core.errors import NotFoundError, UsageError
from storage.rows import unpack_logps, unpack_tokens
from storage.views import AttemptLine, AttemptView, CheckpointView, RunView, TaskView

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from storage.views import AttemptFilter

NEWEST = 2**63 - 1
"""Where a page begins that has nothing before it."""

_PAGE = 500
_T = TypeVar("_T")
_JSON_COLUMNS = frozenset({"jail_layers", "parts", "violations", "cases", "feedback"})
_UNPACKED = {"tokens": unpack_tokens, "logps": unpack_logps}


_RUN_COLUMNS = (
    "id, name, suite, seed, status, reason, started_ns, ended_ns, version, pid, jail_rung, jail_layers, "
    "attempts, solved, tasks, best_score, wall_s"
)
RUNS_PAGE = f"SELECT {_RUN_COLUMNS} FROM runs WHERE id < ? ORDER BY id DESC LIMIT ?"
RUNS_COUNT = "SELECT count(*) FROM runs"
RUN_BY_ID = f"SELECT {_RUN_COLUMNS} FROM runs WHERE id = ?"
RUN_BACK = f"SELECT {_RUN_COLUMNS} FROM runs ORDER BY id DESC LIMIT 1 OFFSET ?"
RUNS_BY_NAME = f"SELECT {_RUN_COLUMNS} FROM runs WHERE name = ? ORDER BY id"
RUN_ATTEMPTS = "SELECT attempts FROM runs WHERE id = :run"
TASK_ATTEMPTS = "SELECT attempts FROM tasks WHERE id = :task"
RUN_SETTINGS = "SELECT settings_json FROM runs WHERE id = ?"

TASKS_OF_RUN = (
    "SELECT t.id, t.key, t.name, t.language, t.kind, t.rung, t.difficulty, t.description, t.attempts, "
    "t.best_score, t.solved_attempt, a.code AS solution "
    "FROM tasks AS t LEFT JOIN attempts AS a ON a.run_id = t.run_id AND a.number = t.solved_attempt "
    "WHERE t.run_id = ?"
)
TASK_SPECS = "SELECT id, spec_json FROM tasks WHERE run_id = ?"
TASK_IDS = "SELECT id FROM tasks WHERE run_id = ?1 AND (key = ?2 OR name = ?2)"

# CROSS JOIN keeps the attempts outside, where their index gives the order.
_ATTEMPTS = "FROM attempts AS a CROSS JOIN tasks AS t ON t.id = a.task_id"
_LINE_COLUMNS = (
    "a.run_id, a.number, t.key AS task, t.language, a.policy_version, a.arm, a.status, a.score, a.solved, "
    "a.passed, a.total, a.cpu_s, a.ts_ns"
)
ATTEMPT = (
    f"SELECT {_LINE_COLUMNS}, t.description, a.instance_id, a.group_no, a.parts, a.cases, a.violations, "
    "a.wall_s, a.max_rss_mb, a.rung, a.engine, a.fingerprint, a.tokens, a.logps, a.code, a.stdout, a.stderr, "
    "a.feedback "
    f"{_ATTEMPTS} WHERE a.run_id = ? AND a.number = ?"
)
LAST_NUMBER = "SELECT max(number) FROM attempts WHERE run_id = ?"
LAST_SEQ = "SELECT max(seq) FROM events WHERE run_id = ?"
CHECKPOINTS = (
    "SELECT version, path, sha256, ts_ns FROM checkpoints WHERE run_id = ? ORDER BY version DESC LIMIT ?"
)


def runs_page(connection: sqlite3.Connection, *, before: int = NEWEST, limit: int = 50) -> list[RunView]:
    """Runs with numbers below `before`, newest first; all of them if `limit` is 0."""
    return _read(connection.execute(RUNS_PAGE, (before, limit or -1)), RunView)


def count_runs(connection: sqlite3.Connection) -> int:
    return _number(connection.execute(RUNS_COUNT))


def find_run(connection: sqlite3.Connection, selector: str) -> RunView:
    """The run that `r12`, `12`, `@latest`, `@-2` (the one before the latest) or a name stands for.

    Raises NotFoundError, or UsageError with the candidates when several runs have the name.
    """
    if match := re.fullmatch(r"r?(\d{1,18})", selector):
        found = _read(connection.execute(RUN_BY_ID, (int(match[1]),)), RunView)
    elif match := re.fullmatch(r"@(?:latest|-([1-9]\d{0,8}))", selector):
        found = _read(connection.execute(RUN_BACK, (int(match[1] or 1) - 1,)), RunView)
    elif selector == "":  # runs without a name have an empty one
        found = []
    else:
        found = _read(connection.execute(RUNS_BY_NAME, (selector,)), RunView)
    if not found:
        raise NotFoundError("run", selector, "the runs there are: altlas run list")
    if len(found) > 1:
        candidates = ", ".join(f"r{run.id}" for run in found)
        raise UsageError(f"{len(found)} runs are named {selector!r}: say which of {candidates}")
    return found[0]


def run_settings(connection: sqlite3.Connection, run_id: int) -> str:
    """The settings of a run as JSON text, as they were resolved when it began."""
    return str(connection.execute(RUN_SETTINGS, (run_id,)).fetchone()[0])


def tasks_of(connection: sqlite3.Connection, run_id: int) -> list[TaskView]:
    """The tasks of a run in the order of its suite."""
    return sorted(_read(connection.execute(TASKS_OF_RUN, (run_id,)), TaskView), key=lambda task: task.id)


def task_specs(connection: sqlite3.Connection, run_id: int) -> list[str]:
    """The whole task records of a run as JSON texts, in the order of its suite."""
    return [spec for _, spec in sorted(connection.execute(TASK_SPECS, (run_id,)).fetchall())]


def task_ids(connection: sqlite3.Connection, run_id: int, name: str) -> list[int]:
    """The numbers of the tasks of a run that `suite/name`, or `name` alone, stands for."""
    return [number for (number,) in connection.execute(TASK_IDS, (run_id, name)).fetchall()]


def attempts_page(
    connection: sqlite3.Connection, which: AttemptFilter, *, before: int = NEWEST, limit: int = 50
) -> list[AttemptLine]:
    """Attempts with numbers below `before`, newest first; all of them if `limit` is 0."""
    lines: list[AttemptLine] = []
    sql, parameters = attempts_sql(which), _parameters(which)
    while True:
        size = min(limit - len(lines), _PAGE) if limit else _PAGE
        page = _read(connection.execute(sql, {**parameters, "before": before, "limit": size}), AttemptLine)
        lines += page
        if len(page) < size or len(lines) == limit:
            return lines
        before = page[-1].number


def count_attempts(connection: sqlite3.Connection, which: AttemptFilter) -> int:
    """How many attempts are meant; taken from the totals where nothing but a run or a task is asked for."""
    return _number(connection.execute(attempts_count_sql(which), _parameters(which)))


def find_attempt(connection: sqlite3.Connection, run_id: int, number: int) -> AttemptView:
    """One attempt by its number in the run. Raises NotFoundError."""
    found = _read(connection.execute(ATTEMPT, (run_id, number)), AttemptView)
    if not found:
        raise NotFoundError(
            "attempt", f"r{run_id}/{number}", f"there are: altlas attempt list --run r{run_id}"
        )
    return found[0]


def last_number(connection: sqlite3.Connection, run_id: int) -> int:
    """The highest attempt number of a run, 0 without attempts."""
    return _number(connection.execute(LAST_NUMBER, (run_id,)))


def last_seq(connection: sqlite3.Connection, run_id: int) -> int:
    """The highest event number of a run, 0 without events."""
    return _number(connection.execute(LAST_SEQ, (run_id,)))


def checkpoints(connection: sqlite3.Connection, run_id: int, *, limit: int = 50) -> list[CheckpointView]:
    """The checkpoints of a run, newest policy version first."""
    return _read(connection.execute(CHECKPOINTS, (run_id, limit or -1)), CheckpointView)


def attempts_sql(which: AttemptFilter) -> str:
    """The statement behind `attempts_page` for filters of this shape."""
    where = " AND ".join([*_conditions(which), "a.number < :before"])
    return f"SELECT {_LINE_COLUMNS} {_ATTEMPTS} WHERE {where} ORDER BY a.number DESC LIMIT :limit"


def attempts_count_sql(which: AttemptFilter) -> str:
    """The statement behind `count_attempts` for filters of this shape."""
    if which.solved or which.status is not None or which.min_score is not None:
        return f"SELECT count(*) FROM attempts AS a WHERE {' AND '.join(_conditions(which))}"
    return RUN_ATTEMPTS if which.task_id is None else TASK_ATTEMPTS


def _conditions(which: AttemptFilter) -> Iterable[str]:
    # A task belongs to one run, so its own index serves. The `+` keeps the planner from an index whose
    # order would have to be undone by a sort.
    yield "a.run_id = :run" if which.task_id is None else "a.task_id = :task"
    if which.solved:
        yield "a.solved = 1"
    if which.status is not None:
        yield "a.status = :status"
    if which.min_score is not None:
        yield "+a.score >= :min_score"


def _parameters(which: AttemptFilter) -> dict[str, int | float | str | None]:
    return {
        "run": which.run_id,
        "task": which.task_id,
        "status": which.status and which.status.value,
        "min_score": which.min_score,
    }


def _read(cursor: sqlite3.Cursor, view: type[_T]) -> list[_T]:
    names = [column[0] for column in cursor.description]
    return [_convert(names, row, view) for row in cursor.fetchall()]


def _convert(names: list[str], row: tuple[int | float | str | bytes | None, ...], view: type[_T]) -> _T:
    fields: dict[str, object] = dict(zip(names, row, strict=True))
    for name, value in fields.items():
        if name in _JSON_COLUMNS and isinstance(value, str):
            fields[name] = msgspec.json.decode(value)
        elif name in _UNPACKED and isinstance(value, bytes):
            fields[name] = _UNPACKED[name](value)
    return msgspec.convert(fields, view, strict=False)  # not strict: SQLite has 0 and 1 for booleans


def _number(cursor: sqlite3.Cursor) -> int:
    return int(cursor.fetchone()[0] or 0)
