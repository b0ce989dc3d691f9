"""Attempts as they were handed over, read back from the narrow rows and the texts that they share."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from storage.packing.vectors import unpack_fingerprint
from storage.rows import AttemptRow

if TYPE_CHECKING:
    import sqlite3

    from storage.bodies.reading import Library

STORED_ATTEMPT = (
    "SELECT a.run_id, t.key, a.number, a.group_no, a.instance, a.policy_version, arm.text, status.text, a.score, "
    "a.solved, a.passed, a.total, a.fingerprint, a.cpu_s, a.wall_s, a.max_rss_mb, rung.text, engine.text, "
    "a.ts_ns, rewards.names, a.rewards, a.exact, a.tokens, a.logps, a.cases, a.code_id, a.stdout_id, a.stderr_id, "
    "a.violations_id, a.feedback_id, t.language, t.description "
    "FROM attempts AS a CROSS JOIN tasks AS t ON t.id = a.task_id "
    "CROSS JOIN labels AS arm ON arm.id = a.arm_id CROSS JOIN labels AS status ON status.id = a.status_id "
    "CROSS JOIN labels AS rung ON rung.id = a.rung_id CROSS JOIN labels AS engine ON engine.id = a.engine_id "
    "CROSS JOIN reward_schemas AS rewards ON rewards.id = a.reward_schema_id "
    "WHERE a.run_id = ? AND a.number = ?"
)
_NUMBERS = slice(0, 25)
_TEXTS = slice(25, 30)


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
    if row is None:
        return None
    columns = list(row[_NUMBERS])
    key, instance = columns[1], columns[4]
    columns[4] = key if instance is None else f"{key}#{instance}"
    columns[12] = unpack_fingerprint(columns[12])
    columns[19] = reward_names(columns[19])
    texts = [None if body is None else library.text(body) for body in row[_TEXTS]]
    return Stored(AttemptRow._make([*columns, *texts]), row[-2], row[-1])


@cache
def reward_names(names: str) -> tuple[str, ...]:
    """The names of a reward schema."""
    return msgspec.json.decode(names, type=tuple[str, ...])
