"""The rows of schema 2 to those of schema 3, for `r0003`: its statements stay as they are, whatever comes later.

Everything runs in the transaction of the migration, a page of rows at a time.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.records import CaseResult
from storage.bodies.codec import train
from storage.bodies.shelf import Shelf
from storage.packing.cases import pack_cases
from storage.packing.replay import scored_payload
from storage.packing.vectors import pack, pack_fingerprint, unpack_logps
from storage.rows import AttemptRow, texts_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

_PAGE = 500
_SAMPLES = 400
_MIN_SAMPLES = 50
_FORM = b"\x01"
_TEXTS = 5
"""How many texts of a row schema 3 stored apart; later ones have more behind them."""
_NULL = "null"
"""How schema 2 kept that there is no feedback, where it did not keep NULL."""

_OLD = (
    "SELECT a.id, a.run_id, t.key, a.number, a.group_no, a.instance_id, a.policy_version, a.arm, a.status, "
    "a.score, a.solved, a.passed, a.total, a.fingerprint, a.cpu_s, a.wall_s, a.max_rss_mb, a.rung, a.engine, "
    "a.ts_ns, a.parts, a.logps, a.tokens, a.code, a.stdout, a.stderr, a.cases, a.violations, a.feedback, "
    "a.task_id FROM attempts_2 AS a CROSS JOIN tasks AS t ON t.id = a.task_id "
)
_OLD_PAGE = f"{_OLD} WHERE a.id > ? ORDER BY a.id LIMIT ?"
_OLD_ONE = f"{_OLD} WHERE a.run_id = ? AND a.number = ?"
_OLD_EVENTS = (
    "SELECT run_id, seq, type, monotonic_ns, wall_ns, cause_seq, payload FROM events_2 "
    "WHERE (run_id, seq) > (?, ?) ORDER BY run_id, seq LIMIT ?"
)
_SAMPLE = "SELECT code, stdout, feedback FROM attempts_2 WHERE id % ? = 0 LIMIT ?"
_COLUMNS = (
    "id, run_id, number, group_no, task_id, instance, policy_version, arm_id, status_id, score, solved, passed, "
    "total, fingerprint, cpu_s, wall_s, max_rss_mb, rung_id, engine_id, ts_ns, reward_schema_id, rewards, exact, "
    "tokens, logps, cases, code_id, stdout_id, stderr_id, violations_id, feedback_id"
)
_NEW = f"INSERT INTO attempts ({_COLUMNS}) VALUES ({', '.join('?' * len(_COLUMNS.split(',')))})"
_NEW_EVENT = (
    "INSERT INTO events (run_id, seq, type, monotonic_ns, wall_ns, cause_seq, attempt, payload) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
_SUMS = (
    (
        "INSERT INTO tallies (run_id, task_id, status_id, solved, attempts) "
        "SELECT run_id, task_id, status_id, solved, count(*) FROM attempts GROUP BY 1, 2, 3, 4"
    ),
    (
        "INSERT INTO curves (run_id, stretch, attempts, solved, score_sum, score_max, statuses) "
        "SELECT run_id, number / 100, count(*), sum(solved), sum(score), max(score), 0 FROM attempts GROUP BY 1, 2"
    ),
    (
        "UPDATE curves SET statuses = (SELECT sum(DISTINCT 1 << status_id % 60) FROM attempts AS a "
        "WHERE a.run_id = curves.run_id AND a.number >= stretch * 100 AND a.number < (stretch + 1) * 100)"
    ),
)

_INDEXES = (
    "INSERT INTO body_hashes (hash, body_id) SELECT hash, id FROM bodies ORDER BY hash",
    "INSERT INTO positions (name, position) SELECT 'body_hashes', coalesce(max(id), 0) FROM bodies",
    (
        "INSERT INTO fingerprints (fingerprint, attempt_id) SELECT fingerprint, id FROM attempts "
        "ORDER BY fingerprint, id"
    ),
    "INSERT INTO positions (name, position) SELECT 'fingerprints', coalesce(max(id), 0) FROM attempts",
)


def move_attempts(connection: sqlite3.Connection) -> None:
    """Fill `attempts` from `attempts_2`."""
    shelf = Shelf(connection)
    _learn(connection, shelf)
    numbers = _Numbers(connection)
    for page in _pages(connection):
        rows = [_row(old) for old in page]
        bodies = shelf.put([text for row in rows for text in texts_of(row)[:_TEXTS]])
        connection.executemany(
            _NEW,
            [
                (
                    old[0],
                    *_columns(row, task_id=old[-1], numbers=numbers),
                    *[bodies[text] for text in texts_of(row)[:_TEXTS]],
                )
                for old, row in zip(page, rows, strict=True)
            ],
        )


def move_events(connection: sqlite3.Connection) -> None:
    """Fill `events` from `events_2`. What told of an attempt points to it, if the same bytes can be made of it."""
    place = (0, 0)
    while page := connection.execute(_OLD_EVENTS, (*place, _PAGE)).fetchall():
        connection.executemany(_NEW_EVENT, [(*event[:-1], *_payload(connection, event)) for event in page])
        place = page[-1][:2]


def sum_up(connection: sqlite3.Connection) -> None:
    """Fill the sums that are new; those of runs and tasks are right."""
    for sql in _SUMS:
        connection.execute(sql)


def catch_up(connection: sqlite3.Connection) -> None:
    """Fill the indexes that follow a moment behind; the search is left to the writer, when nobody waits."""
    for sql in _INDEXES:
        connection.execute(sql)


class _Numbers:
    """Numbers for labels and reward schemas."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[tuple[str, str], int] = {}

    def label(self, text: str) -> int:
        return self._of("INSERT INTO labels (text) VALUES (?)", text)

    def schema(self, names: tuple[str, ...]) -> int:
        return self._of("INSERT INTO reward_schemas (names) VALUES (?)", msgspec.json.encode(names).decode())

    def _of(self, sql: str, text: str) -> int:
        if (sql, text) not in self._known:
            number = self._connection.execute(sql, (text,)).lastrowid
            assert number is not None, "an INSERT of one row has a row id"
            self._known[sql, text] = number
        return self._known[sql, text]


def _learn(connection: sqlite3.Connection, shelf: Shelf) -> None:
    """Make the first dictionary of texts from all over the database, if there are enough."""
    last = connection.execute("SELECT max(id) FROM attempts_2").fetchone()[0] or 0
    found = connection.execute(_SAMPLE, (max(1, last // _SAMPLES), _SAMPLES)).fetchall()
    if len(found) >= _MIN_SAMPLES and (
        data := train([text.encode() for row in found for text in row if text])
    ):
        shelf.add_dictionary(data)


def _pages(connection: sqlite3.Connection) -> Iterator[list[tuple[object, ...]]]:
    last = -(2**63)
    while page := connection.execute(_OLD_PAGE, (last, _PAGE)).fetchall():
        yield page
        last = page[-1][0]


def _row(old: tuple[object, ...]) -> AttemptRow:
    _, run_id, key, number, group_no, instance, *middle, parts, logps, tokens = old[:23]
    code, stdout, stderr, cases, violations, feedback = old[23:29]
    rewards = msgspec.json.decode(str(parts), type=dict[str, float | None])
    assert isinstance(logps, bytes)
    values = tuple(math.nan if value is None else value for value in rewards.values())
    numbers = pack(values, unpack_logps(logps))
    texts = (code, stdout, stderr, violations, None if feedback == _NULL else feedback)
    return AttemptRow._make(
        (
            run_id,
            key,
            number,
            group_no,
            instance,
            *middle,
            tuple(rewards),
            *numbers[::2],
            tokens,
            logps,
            pack_cases(msgspec.json.decode(str(cases), type=tuple[CaseResult, ...])),
            *texts,
            None,
        )
    )


def _columns(row: AttemptRow, *, task_id: object, numbers: _Numbers) -> tuple[object, ...]:
    """From `run_id` to `cases`."""
    _, hash_sign, instance = row.instance_id.partition("#")
    return (
        row.run_id,
        row.number,
        row.group_no,
        task_id,
        instance if hash_sign else None,
        row.policy_version,
        numbers.label(row.arm),
        numbers.label(row.status),
        row.score,
        row.solved,
        row.passed,
        row.total,
        pack_fingerprint(row.fingerprint),
        row.cpu_s,
        row.wall_s,
        row.max_rss_mb,
        numbers.label(row.rung),
        numbers.label(row.engine),
        row.ts_ns,
        numbers.schema(row.reward_names),
        row.rewards,
        row.exact,
        row.tokens,
        row.logps,
        row.cases,
    )


def _payload(connection: sqlite3.Connection, event: tuple[object, ...]) -> tuple[int | None, bytes]:
    """The attempt and the payload of an event of schema 3."""
    run_id, payload = event[0], event[-1]
    assert isinstance(payload, bytes)
    number = _attempt_of(payload) if event[2] == "AttemptScored" else None
    old = None if number is None else connection.execute(_OLD_ONE, (run_id, number)).fetchone()
    if old is None or scored_payload(_row(old), _FORM) != payload:
        return None, payload
    return number, _FORM


def _attempt_of(payload: bytes) -> int | None:
    """The number of the attempt that the event told of; None for bytes of another kind."""
    try:
        return _decode(payload).judged.attempt.number
    except msgspec.MsgspecError:
        return None


class _Attempt(msgspec.Struct):
    number: int


class _Judged(msgspec.Struct):
    attempt: _Attempt


class _Scored(msgspec.Struct):
    judged: _Judged


_decode = msgspec.msgpack.Decoder(_Scored).decode
