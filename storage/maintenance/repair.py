"""Makes rows that were saved from a damaged database fit together again, and says what did not.

What an attempt cannot do without is filled in, visibly. An event that cannot be told as it was is taken
out, and the gap is noted. Sums are counted anew, and the search begins anew.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from storage import fingerprints
from storage.bodies import hashes
from storage.bodies.codec import Packer, hash_of
from storage.maintenance.check import COUNTED_CURVES, COUNTED_TALLIES, HOLES, bad_bodies

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

LOST = "(lost with a damaged page of the database)"
"""Stands for a text that could not be saved."""

_STAND_INS = {
    "code_id": LOST,
    "stdout_id": LOST,
    "stderr_id": LOST,
    "violations_id": "[]",
    "feedback_id": None,
    "strategy_id": None,
}
NARROW = 3
"""The first schema with narrow attempts; later ones have more columns and tables."""
_ALL = 2**62
_OF_RUNS = ("tasks", "metrics", "checkpoints", "events", "gaps", "attempts", "run_tags", "exams")
_STAND_IN_RUN = (
    "INSERT INTO runs (id, name, suite, seed, status, reason, started_ns, version, pid, jail_rung, jail_layers, "
    "attempts, solved, tasks, wall_s, settings_json) "
    "VALUES (?, '', '', 0, 'crashed', ?, 0, '', 0, '', '[]', 0, 0, 0, 0, '{}')"
)
_STAND_IN_TASK = (
    "INSERT INTO tasks (id, run_id, key, name, language, kind, rung, difficulty, attempts, description, spec_json) "
    "VALUES (?, ?, ?, ?, '', '', 0, 0, 0, ?, '{}')"
)
_MISSING_LABELS = " UNION ".join(
    f"SELECT DISTINCT {column} FROM attempts" for column in ("arm_id", "status_id", "rung_id", "engine_id")
)


def repair(connection: sqlite3.Connection) -> Iterator[str]:
    """Make a database of schema NARROW or newer whole; yields what is lost."""
    yield from _fill_in_runs(connection)
    yield from _fill_in_tasks(connection)
    yield from _fill_in_labels(connection)
    _mend_dictionaries(connection)
    yield from _fill_in_reward_schemas(connection)
    yield from _fill_in_texts(connection)
    yield from _note_gaps(connection)
    _count_anew(connection)
    hashes.follow(connection, limit=_ALL)
    fingerprints.follow(connection, limit=_ALL)


def _fill_in_runs(connection: sqlite3.Connection) -> Iterator[str]:
    """A run is worth as much as its attempts: it is named by its number, and the rest is not known."""
    there = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    named = " UNION ".join(f"SELECT run_id FROM {table}" for table in _OF_RUNS if table in there)
    for (number,) in connection.execute(f"{named} EXCEPT SELECT id FROM runs").fetchall():
        connection.execute(_STAND_IN_RUN, (number, LOST))
        yield f"what was known of run r{number} itself"


def _fill_in_tasks(connection: sqlite3.Connection) -> Iterator[str]:
    missing = connection.execute(
        "SELECT DISTINCT task_id, run_id FROM attempts WHERE task_id NOT IN (SELECT id FROM tasks)"
    ).fetchall()
    for number, run_id in missing:
        connection.execute(_STAND_IN_TASK, (number, run_id, f"lost/task-{number}", f"task-{number}", LOST))
        _forget_events(connection, f"task_id = {number}")
        yield f"task {number} of run r{run_id}"


def _forget_events(connection: sqlite3.Connection, where: str) -> None:
    """An event cannot be made again, byte for byte, of an attempt that is not what it was."""
    connection.execute(
        "DELETE FROM events WHERE attempt IS NOT NULL AND (run_id, attempt) IN "
        f"(SELECT run_id, number FROM attempts WHERE {where})"
    )


def _fill_in_labels(connection: sqlite3.Connection) -> Iterator[str]:
    known = {number for (number,) in connection.execute("SELECT id FROM labels")}
    for (number,) in connection.execute(_MISSING_LABELS).fetchall():
        if number not in known:
            connection.execute("INSERT INTO labels (id, text) VALUES (?, ?)", (number, f"lost-{number}"))
            yield f"the word that label {number} stood for"


def _fill_in_reward_schemas(connection: sqlite3.Connection) -> Iterator[str]:
    sql = (
        "SELECT reward_schema_id, length(rewards) FROM attempts WHERE reward_schema_id NOT IN "
        "(SELECT id FROM reward_schemas) GROUP BY reward_schema_id"
    )
    for number, size in connection.execute(sql).fetchall():
        count = next(count for count in range(size + 1) if (count + 7) // 8 + 4 * count >= size)
        names = json.dumps([f"lost_{number}_{place}" for place in range(count)])
        connection.execute("INSERT INTO reward_schemas (id, names) VALUES (?, ?)", (number, names))
        yield f"the names of the rewards of schema {number}"


def _mend_dictionaries(connection: sqlite3.Connection) -> None:
    """Each of a dictionary and its spare takes the place of the other, if that is not whole."""
    for table in ("dictionaries", "spare_dictionaries"):
        for number, digest, data in connection.execute(f"SELECT id, hash, data FROM {table}").fetchall():
            if hash_of(data) != digest:
                connection.execute(f"DELETE FROM {table} WHERE id = ?", (number,))
    connection.execute(
        "INSERT INTO dictionaries (id, hash, made_ns, data) SELECT id, hash, 0, data FROM spare_dictionaries "
        "WHERE id NOT IN (SELECT id FROM dictionaries)"
    )
    connection.execute(
        "INSERT INTO spare_dictionaries (id, hash, data) SELECT id, hash, data FROM dictionaries "
        "WHERE id NOT IN (SELECT id FROM spare_dictionaries)"
    )


def _fill_in_texts(connection: sqlite3.Connection) -> Iterator[str]:
    damaged = [(number,) for number, _ in bad_bodies(connection)]
    connection.executemany("DELETE FROM bodies WHERE id = ?", damaged)
    columns = {name for _, name, *_ in connection.execute("PRAGMA table_info(attempts)")}
    for column, text in _STAND_INS.items():
        if column not in columns:
            continue
        gone = f"{column} IS NOT NULL AND {column} NOT IN (SELECT id FROM bodies)"
        _forget_events(connection, gone)
        stand_in = None if text is None else _body(connection, text)
        count = connection.execute(f"UPDATE attempts SET {column} = ? WHERE {gone}", (stand_in,)).rowcount
        if count:
            yield f"the {column.removesuffix('_id')} of {count} attempts"


def _body(connection: sqlite3.Connection, text: str) -> int:
    raw = text.encode()
    found = connection.execute("SELECT id FROM bodies WHERE hash = ?", (hash_of(raw),)).fetchone()
    if found is None:
        sql = "INSERT INTO bodies (hash, dictionary, size, data) VALUES (?, ?, ?, ?) RETURNING id"
        found = connection.execute(sql, (hash_of(raw), *Packer().pack(raw))).fetchone()
    return int(found[0])


def _note_gaps(connection: sqlite3.Connection) -> Iterator[str]:
    gone = connection.execute(
        "DELETE FROM events WHERE attempt IS NOT NULL AND NOT EXISTS "
        "(SELECT 1 FROM attempts AS a WHERE a.run_id = events.run_id AND a.number = events.attempt)"
    ).rowcount
    if gone:
        yield f"{gone} events that told of attempts that are lost"
    connection.execute("DELETE FROM gaps")
    for run_id, first, last in connection.execute(HOLES).fetchall():
        connection.execute(
            "INSERT INTO gaps (run_id, first_seq, last_seq) VALUES (?, ?, ?)", (run_id, first, last)
        )
        yield f"events {first} to {last} of run r{run_id}"


def _count_anew(connection: sqlite3.Connection) -> None:
    connection.execute(
        f"INSERT INTO tallies (run_id, task_id, status_id, solved, attempts) {COUNTED_TALLIES}"
    )
    connection.execute(
        "INSERT INTO curves (run_id, stretch, attempts, solved, score_sum, score_max, statuses) "
        + COUNTED_CURVES
    )
    for table, key in (("tasks", "task_id"), ("runs", "run_id")):
        connection.execute(
            f"UPDATE {table} SET attempts = (SELECT count(*) FROM attempts WHERE {key} = {table}.id), "
            f"best_score = (SELECT max(score) FROM attempts WHERE {key} = {table}.id)"
        )
    connection.execute(
        "UPDATE tasks SET solved_attempt = NULL WHERE solved_attempt IS NOT NULL AND NOT EXISTS (SELECT 1 "
        "FROM attempts AS a WHERE a.run_id = tasks.run_id AND a.number = tasks.solved_attempt)"
    )
    connection.execute(
        "UPDATE runs SET tasks = (SELECT count(*) FROM tasks WHERE run_id = runs.id), solved = "
        "(SELECT count(*) FROM tasks WHERE run_id = runs.id AND solved_attempt IS NOT NULL)"
    )
