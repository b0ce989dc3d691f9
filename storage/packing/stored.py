"""Attempts as they were handed over, read back from the narrow rows and the texts that they share."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec

from storage.packing.vectors import unpack_fingerprint
from storage.rows import AttemptRow

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from storage.bodies.reading import Library

_COLUMNS = (
    "a.run_id, t.key, a.number, a.group_no, a.instance, a.policy_version, arm.text, status.text, a.score, "
    "a.solved, a.passed, a.total, a.fingerprint, a.cpu_s, a.wall_s, a.max_rss_mb, rung.text, engine.text, "
    "a.ts_ns, rewards.names, a.rewards, a.exact, a.tokens, a.logps, a.cases, a.code_id, a.stdout_id, a.stderr_id, "
    "a.violations_id, a.feedback_id, a.strategy_id, t.language, t.description"
)
_NAMED = (
    "CROSS JOIN tasks AS t ON t.id = a.task_id "
    "CROSS JOIN labels AS arm ON arm.id = a.arm_id CROSS JOIN labels AS status ON status.id = a.status_id "
    "CROSS JOIN labels AS rung ON rung.id = a.rung_id CROSS JOIN labels AS engine ON engine.id = a.engine_id "
    "CROSS JOIN reward_schemas AS rewards ON rewards.id = a.reward_schema_id"
)
STORED_ATTEMPT = f"SELECT {_COLUMNS} FROM attempts AS a {_NAMED} WHERE a.run_id = ? AND a.number = ?"
STORED_ATTEMPTS = (
    f"SELECT {_COLUMNS} FROM attempts AS a {_NAMED} "
    "WHERE a.run_id = ? AND a.number IN (SELECT value FROM json_each(?))"
)
_TEXTS = slice(25, 31)


class Stored(NamedTuple):
    """An attempt with what its task adds to it."""

    attempt: AttemptRow
    language: str
    description: str


def stored_attempt(
    connection: sqlite3.Connection, library: Library, run_id: int, number: int
) -> Stored | None:
    """None when there is no such attempt. Raises DatabaseDamagedError for a text that cannot be read."""
    row = connection.execute(STORED_ATTEMPT, (run_id, number)).fetchone()
    return None if row is None else _stored(row, library.text)


def stored_attempts(
    connection: sqlite3.Connection, library: Library, run_id: int, numbers: Sequence[int]
) -> dict[int, Stored]:
    """Those of these attempts that there are, by their numbers. Raises as `stored_attempt`."""
    rows = connection.execute(STORED_ATTEMPTS, (run_id, json.dumps(numbers))).fetchall()
    texts = library.texts({body for row in rows for body in row[_TEXTS] if body is not None})
    return {row[2]: _stored(row, texts.__getitem__) for row in rows}


def _stored(row: tuple[object, ...], text: Callable[[int], str]) -> Stored:
    run_id, key, number, group, instance = row[:5]
    *_, language, description = row
    columns = (
        *(run_id, key, number, group, key if instance is None else f"{key}#{instance}"),
        *row[5:12],
        unpack_fingerprint(cast("bytes | str", row[12])),
        *row[13:19],
        reward_names(cast("str", row[19])),
        *row[20:25],
        *[None if body is None else text(body) for body in cast("tuple[int | None, ...]", row[_TEXTS])],
    )
    return Stored(AttemptRow._make(columns), cast("str", language), cast("str", description))


@cache
def reward_names(names: str) -> tuple[str, ...]:
    """The names of a reward schema."""
    return msgspec.json.decode(names, type=tuple[str, ...])
