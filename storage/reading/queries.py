"""Read-only questions: SQL text, and one thin function each. Nothing heavier than sqlite3 and msgspec.

Pages go by key, never by OFFSET over attempts, and are fetched completely: no statement stays open.
Every statement here is planned in a test: none scans the attempts, none sorts.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import msgspec

from altlas_agent.core.errors import AmbiguousError, DatabaseDamagedError, NotFoundError
from storage.bodies.reading import Library
from storage.fingerprints import KNOWN
from storage.packing.replay import scored_payload
from storage.packing.stored import stored_attempt, stored_attempts
from storage.packing.vectors import pack_fingerprint
from storage.reading.views import (
    AttemptLine,
    CheckpointView,
    CurvePoint,
    EventView,
    RunView,
    TaskView,
    attempt_view,
)
from storage.rollups import STATUS_BITS, STRETCH
from storage.search import expression

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from storage.packing.stored import Stored
    from storage.reading.views import AttemptFilter, AttemptView

NEWEST = 2**63 - 1
"""Where a page begins that has nothing before it."""

TAG = "tag:"
"""Before a tag that stands for the one run that has it."""

_PAGE = 500
_T = TypeVar("_T")
_EventRow: TypeAlias = "tuple[int, int, str, int, int, int | None, int | None, bytes]"
_JSON_COLUMNS = frozenset({"jail_layers", "tags"})

_RUN_COLUMNS = (
    "id, name, suite, seed, status, reason, started_ns, ended_ns, version, pid, jail_rung, jail_layers, "
    "attempts, solved, tasks, best_score, wall_s, heartbeat_ns, coalesce(note, '') AS note, "
    "(SELECT json_group_array(tag) FROM run_tags WHERE run_id = runs.id) AS tags"
)
RUNS_PAGE = f"SELECT {_RUN_COLUMNS} FROM runs WHERE id < ? AND id > 0 ORDER BY id DESC LIMIT ?"
RUNS_TAGGED = (
    f"SELECT {_RUN_COLUMNS} FROM run_tags AS g CROSS JOIN runs ON runs.id = g.run_id "
    "WHERE g.tag = ? AND g.run_id < ? ORDER BY g.run_id DESC LIMIT ?"
)
RUNS_COUNT = "SELECT count(*) FROM runs WHERE id > 0"
RUN_BY_ID = f"SELECT {_RUN_COLUMNS} FROM runs WHERE id = ?"
RUN_BACK = f"SELECT {_RUN_COLUMNS} FROM runs WHERE id > 0 ORDER BY id DESC LIMIT 1 OFFSET ?"
RUNS_BY_NAME = f"SELECT {_RUN_COLUMNS} FROM runs WHERE name = ? AND id > 0 ORDER BY id"
RUN_SETTINGS = "SELECT settings_json FROM runs WHERE id = ?"

TASKS_OF_RUN = (
    "SELECT t.id, t.key, t.name, t.language, t.kind, t.rung, t.difficulty, t.description, t.attempts, "
    "t.best_score, t.solved_attempt, a.code_id AS solution "
    "FROM tasks AS t LEFT JOIN attempts AS a ON a.run_id = t.run_id AND a.number = t.solved_attempt "
    "WHERE t.run_id = ?"
)
TASK_SPECS = "SELECT id, spec_json FROM tasks WHERE run_id = ?"
TASK_IDS = "SELECT id FROM tasks WHERE run_id = ?1 AND (key = ?2 OR name = ?2)"

# CROSS JOIN keeps the attempts outside, where their index gives the order.
_NAMED = (
    "CROSS JOIN tasks AS t ON t.id = a.task_id CROSS JOIN labels AS arm ON arm.id = a.arm_id "
    "CROSS JOIN labels AS status ON status.id = a.status_id"
)
_ATTEMPTS = f"FROM attempts AS a {_NAMED}"
_LINE_COLUMNS = (
    "a.id, a.run_id, a.number, t.key AS task, t.language, a.policy_version, arm.text AS arm, "
    "status.text AS status, a.score, a.solved, a.passed, a.total, a.cpu_s, a.ts_ns"
)
_STATUS_ID = "(SELECT id FROM labels WHERE text = :status)"
BEST_ATTEMPTS = (
    f"SELECT {_LINE_COLUMNS} {_ATTEMPTS} WHERE a.run_id = :run AND (a.score, a.number) < (:score, :number) "
    "ORDER BY a.score DESC, a.number DESC LIMIT :limit"
)


def _search(where: str) -> str:
    return (
        f"SELECT {_LINE_COLUMNS} FROM program_search AS f CROSS JOIN attempts AS a ON a.id = f.rowid {_NAMED} "
        f"WHERE f.program_search MATCH :words AND {where} ORDER BY f.rowid DESC LIMIT :limit"
    )


SEARCH_ATTEMPTS = _search("f.rowid < :before")
# A run stores its attempts in the order of their numbers: what lies outside is another's.
SEARCH_IN_RUN = _search(
    "a.run_id = :run "
    "AND f.rowid >= (SELECT id FROM attempts WHERE run_id = :run ORDER BY number LIMIT 1) "
    "AND f.rowid <= min(:before - 1, (SELECT id FROM attempts WHERE run_id = :run ORDER BY number DESC LIMIT 1))"
)
CURVE = (
    "SELECT stretch, attempts, solved, score_sum / attempts AS mean_score, score_max AS best_score "
    "FROM curves WHERE run_id = ? AND stretch > ? ORDER BY stretch LIMIT ?"
)
_EVENT_COLUMNS = "run_id, seq, type, monotonic_ns, wall_ns, cause_seq, attempt, payload"
EVENTS_PAGE = f"SELECT {_EVENT_COLUMNS} FROM events WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?"
EVENTS_AT = (
    f"SELECT {_EVENT_COLUMNS} FROM events WHERE run_id = ? AND seq IN (SELECT value FROM json_each(?))"
)
LAST_NUMBER = "SELECT max(number) FROM attempts WHERE run_id = ?"
LAST_SEQ = "SELECT max(seq) FROM events WHERE run_id = ?"
CHECKPOINTS = (
    "SELECT version, path, sha256, ts_ns, seq FROM checkpoints WHERE run_id = ? ORDER BY version DESC LIMIT ?"
)


def runs_page(connection: sqlite3.Connection, *, before: int = NEWEST, limit: int = 50) -> list[RunView]:
    """Runs with numbers below `before`, newest first; all of them if `limit` is 0."""
    return _read(connection.execute(RUNS_PAGE, (before, limit or -1)), RunView)


def tagged_runs(
    connection: sqlite3.Connection, tag: str, *, before: int = NEWEST, limit: int = 50
) -> list[RunView]:
    """Runs with this tag and numbers below `before`, newest first; all of them if `limit` is 0."""
    return _read(connection.execute(RUNS_TAGGED, (tag, before, limit or -1)), RunView)


def count_runs(connection: sqlite3.Connection) -> int:
    return _number(connection.execute(RUNS_COUNT))


def find_run(connection: sqlite3.Connection, selector: str) -> RunView:
    """The run that `r12`, `12`, `@latest`, `@-2` (the one before the latest), `tag:best` or a name stands for.

    Raises NotFoundError, or AmbiguousError with the candidates when several runs have the name or the tag.
    """
    if match := re.fullmatch(r"r?(\d{1,18})", selector):
        found = _read(connection.execute(RUN_BY_ID, (int(match[1]),)), RunView)
    elif match := re.fullmatch(r"@(?:latest|-([1-9]\d{0,8}))", selector):
        found = _read(connection.execute(RUN_BACK, (int(match[1] or 1) - 1,)), RunView)
    elif selector.startswith(TAG):
        found = tagged_runs(connection, selector.removeprefix(TAG), limit=0)
    elif selector == "":  # runs without a name have an empty one
        found = []
    else:
        found = _read(connection.execute(RUNS_BY_NAME, (selector,)), RunView)
    if not found:
        raise NotFoundError("run", selector, "the runs there are: altlas run list")
    if len(found) > 1:
        raise AmbiguousError("runs", selector, [f"r{run.id}" for run in found])
    return found[0]


def run_settings(connection: sqlite3.Connection, run_id: int) -> str:
    """The settings of a run as JSON text, as they were resolved when it began."""
    return str(connection.execute(RUN_SETTINGS, (run_id,)).fetchone()[0])


def tasks_of(connection: sqlite3.Connection, run_id: int) -> list[TaskView]:
    """The tasks of a run in the order of its suite."""
    library = Library(connection)
    tasks = _read(connection.execute(TASKS_OF_RUN, (run_id,)), TaskView, {"solution": library.text})
    return sorted(tasks, key=lambda task: task.id)


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


def best_attempts(
    connection: sqlite3.Connection, run_id: int, *, after: AttemptLine | None = None, limit: int = 50
) -> list[AttemptLine]:
    """A page of a run's attempts by score, best first, newest first among equals; the one behind `after`."""
    score, number = (after.score, after.number) if after else (2.0, NEWEST)
    parameters = {"run": run_id, "score": score, "number": number, "limit": limit}
    return _read(connection.execute(BEST_ATTEMPTS, parameters), AttemptLine)


def search_attempts(
    connection: sqlite3.Connection,
    words: str,
    *,
    run_id: int | None = None,
    before: int = NEWEST,
    limit: int = 50,
) -> list[AttemptLine]:
    """Attempts whose programs hold all these words, newest first; the next page is `before` the last `id`.

    Each program is found once, and only if it solved its task or came nearest.
    """
    if not (match := expression(words)):
        return []
    parameters = {"words": match, "run": run_id, "before": before, "limit": limit}
    sql = SEARCH_ATTEMPTS if run_id is None else SEARCH_IN_RUN
    return _read(connection.execute(sql, parameters), AttemptLine)


def fingerprint_known(connection: sqlite3.Connection, fingerprint: str) -> bool:
    """True when a program with this fingerprint was attempted before, in whatever run."""
    return bool(_number(connection.execute(KNOWN, (pack_fingerprint(fingerprint),))))


def curve(
    connection: sqlite3.Connection, run_id: int, *, after: int = -1, limit: int = 500
) -> list[CurvePoint]:
    """A page of the curve of a run: stretches of its attempts behind stretch `after`, oldest first."""
    return _read(connection.execute(CURVE, (run_id, after, limit)), CurvePoint)


def find_attempt(connection: sqlite3.Connection, run_id: int, number: int) -> AttemptView:
    """One attempt by its number in the run. Raises NotFoundError, or DatabaseDamagedError for its texts."""
    found = stored_attempt(connection, Library(connection), run_id, number)
    if found is None:
        raise NotFoundError(
            "attempt", f"r{run_id}/{number}", f"there are: altlas attempt list --run r{run_id}"
        )
    return attempt_view(found)


def events_page(
    connection: sqlite3.Connection, run_id: int, *, after: int = 0, limit: int = _PAGE
) -> list[EventView]:
    """The events of a run behind `after`, in order, with their payloads as they were announced.

    Raises DatabaseDamagedError when what a payload is made of cannot be read.
    """
    rows = connection.execute(EVENTS_PAGE, (run_id, after, limit)).fetchall()
    return _with_payloads(connection, run_id, rows)


def events_at(connection: sqlite3.Connection, run_id: int, seqs: Sequence[int]) -> list[EventView]:
    """Those of these events of a run that there are, in order. Raises as `events_page`."""
    rows = connection.execute(EVENTS_AT, (run_id, json.dumps(seqs))).fetchall()
    return _with_payloads(connection, run_id, sorted(rows))


def _with_payloads(connection: sqlite3.Connection, run_id: int, rows: list[_EventRow]) -> list[EventView]:
    numbers = [row[6] for row in rows if row[6] is not None]
    attempts = stored_attempts(connection, Library(connection), run_id, numbers) if numbers else {}
    return [EventView._make((*row[:6], _payload(row, attempts))) for row in rows]


def _payload(row: _EventRow, attempts: Mapping[int, Stored]) -> bytes:
    run_id, seq, *_, attempt, payload = row
    if attempt is None:
        return payload
    if attempt not in attempts:
        raise DatabaseDamagedError(
            f"event {seq} of run r{run_id} told of attempt {attempt}, which is missing; see: altlas db check"
        )
    return scored_payload(attempts[attempt].attempt, payload)


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
    where = " AND ".join(["a.number < :before", *_conditions(which)])
    stretches = " AND ".join(_stretches(which))
    if not stretches:
        return f"SELECT {_LINE_COLUMNS} {_ATTEMPTS} WHERE {where} ORDER BY a.number DESC LIMIT :limit"
    # The curve tells which stretches hold what is asked for: the others are passed over.
    return (
        f"SELECT {_LINE_COLUMNS} FROM curves AS c CROSS JOIN attempts AS a ON a.run_id = c.run_id "
        f"AND a.number >= c.stretch * {STRETCH} AND a.number < (c.stretch + 1) * {STRETCH} {_NAMED} "
        f"WHERE c.run_id = :run AND c.stretch <= :before / {STRETCH} AND {stretches} AND {where} "
        "ORDER BY c.stretch DESC, a.number DESC LIMIT :limit"
    )


def _stretches(which: AttemptFilter) -> Iterable[str]:
    """What is known of a stretch that holds such attempts, where no index finds them faster."""
    if which.task_id is None and not which.solved:
        if which.min_score is not None:
            yield "c.score_max >= :min_score"
        if which.status is not None:
            yield f"c.statuses >> ({_STATUS_ID} % {STATUS_BITS}) & 1"


def attempts_count_sql(which: AttemptFilter) -> str:
    """The statement behind `count_attempts` for filters of this shape."""
    if which.min_score is not None or not which.is_counted:
        where = " AND ".join(_conditions(which)).replace("+a.score", "a.score")  # nothing is to be in order
        return f"SELECT count(*) FROM attempts AS a WHERE {where}"
    wanted = ["run_id = :run"]
    wanted += ["task_id = :task"] if which.task_id is not None else []
    wanted += [f"status_id = {_STATUS_ID}"] if which.status is not None else []
    wanted += ["solved = 1"] if which.solved else []
    return f"SELECT sum(attempts) FROM tallies WHERE {' AND '.join(wanted)}"


def _conditions(which: AttemptFilter) -> Iterable[str]:
    # A task belongs to one run, so its own index serves. The `+` keeps the planner from an index whose
    # order would have to be undone by a sort.
    yield "a.run_id = :run" if which.task_id is None else "a.task_id = :task"
    if which.solved:
        yield "a.solved = 1"
    if which.status is not None:
        yield f"a.status_id = {_STATUS_ID}"
    if which.min_score is not None:
        yield "+a.score >= :min_score"
    if which.arm is not None:
        yield "a.arm_id = (SELECT id FROM labels WHERE text = :arm)"
    if which.version is not None:
        yield "a.policy_version = :version"


def _parameters(which: AttemptFilter) -> dict[str, int | float | str | None]:
    return {
        "run": which.run_id,
        "task": which.task_id,
        "status": which.status and which.status.value,
        "min_score": which.min_score,
        "arm": which.arm and which.arm.value,
        "version": which.version,
    }


def _read(
    cursor: sqlite3.Cursor, view: type[_T], texts: Mapping[str, Callable[[int], str]] | None = None
) -> list[_T]:
    """The rows as views; `texts` reads the columns that hold the number of a text."""
    names = [column[0] for column in cursor.description]
    return [_convert(names, row, view, texts or {}) for row in cursor.fetchall()]


def _convert(
    names: list[str],
    row: tuple[int | float | str | bytes | None, ...],
    view: type[_T],
    texts: Mapping[str, Callable[[int], str]],
) -> _T:
    fields: dict[str, object] = dict(zip(names, row, strict=True))
    for name, value in fields.items():
        if name in _JSON_COLUMNS and isinstance(value, str):
            fields[name] = msgspec.json.decode(value)
        elif name in texts and isinstance(value, int):
            fields[name] = texts[name](value)
    return msgspec.convert(fields, view, strict=False)  # not strict: SQLite has 0 and 1 for booleans


def _number(cursor: sqlite3.Cursor) -> int:
    return int(cursor.fetchone()[0] or 0)
