"""The schema that is promised to whoever asks in SQL: views over the tables, which may change behind them.

They are temporary views of one connection. Views in the file could not be read without AltLAS, because
texts are compressed and numbers packed: functions of this module undo that. What a question does not name
is not computed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import AltlasError
from storage.bodies.reading import Library
from storage.packing.cases import unpack_cases
from storage.packing.stored import reward_names
from storage.packing.vectors import exact_rewards, unpack_fingerprint, unpack_logps, unpack_tokens
from storage.reading import queries
from storage.reading.status import CRASHED, RUNNING, is_alive

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    Argument = int | float | str | bytes | None

LONGEST_TEXT = 200_000
"""Longer texts are cut after so many characters."""

_REMEMBERED = 1000
_AT = "strftime('%Y-%m-%dT%H:%M:%SZ', {} / 1000000000, 'unixepoch')"
_STATUS = f"iif(status = '{RUNNING}' AND NOT is_alive(pid), '{CRASHED}', status)"
_LABEL = (
    "(SELECT text FROM labels WHERE id = a.{})"  # not joined: then it is only looked up where it is named
)

VIEWS: dict[str, dict[str, str]] = {
    "v_runs": {
        "run_id": "id",
        "name": "name",
        "suite": "suite",
        "seed": "seed",
        "status": _STATUS,
        "reason": "reason",
        "started": _AT.format("started_ns"),
        "started_ns": "started_ns",
        "ended_ns": "ended_ns",
        "wall_s": "wall_s",
        "tasks": "tasks",
        "solved": "solved",
        "attempts": "attempts",
        "best_score": "best_score",
        "jail_rung": "jail_rung",
        "jail_layers": "jail_layers",
        "version": "version",
        "settings": "settings_json",
        "note": "coalesce(note, '')",
        "tags": "(SELECT json_group_array(tag) FROM run_tags WHERE run_id = runs.id)",
    },
    "v_tasks": {
        "run_id": "run_id",
        "task": "key",
        "language": "language",
        "kind": "kind",
        "rung": "rung",
        "difficulty": "difficulty",
        "description": "description",
        "attempts": "attempts",
        "best_score": "best_score",
        "solved_attempt": "solved_attempt",
    },
    "v_attempts": {
        "id": "a.id",
        "run_id": "a.run_id",
        "number": "a.number",
        "task": "t.key",
        "language": "t.language",
        "kind": "t.kind",
        "instance": "a.instance",
        "group_no": "a.group_no",
        "policy_version": "a.policy_version",
        "arm": _LABEL.format("arm_id"),
        "status": _LABEL.format("status_id"),
        "score": "a.score",
        "solved": "a.solved",
        "passed": "a.passed",
        "total": "a.total",
        "cpu_s": "a.cpu_s",
        "wall_s": "a.wall_s",
        "max_rss_mb": "a.max_rss_mb",
        "rung": _LABEL.format("rung_id"),
        "engine": _LABEL.format("engine_id"),
        "at": _AT.format("a.ts_ns"),
        "ts_ns": "a.ts_ns",
        "fingerprint": "fingerprint_of(a.fingerprint)",
        "parts": "parts_of((SELECT names FROM reward_schemas WHERE id = a.reward_schema_id), a.rewards, a.exact)",
        "tokens": "tokens_of(a.tokens)",
        "logps": "logps_of(a.logps, a.exact)",
        "code": "text_of(a.code_id)",
        "stdout": "text_of(a.stdout_id)",
        "stderr": "text_of(a.stderr_id)",
        "cases": "cases_of(a.cases)",
        "violations": "text_of(a.violations_id)",
        "feedback": "text_of(a.feedback_id)",
        "strategy": "text_of(a.strategy_id)",
    },
    "v_metrics": {
        "run_id": "run_id",
        "name": "name",
        "version": "version",
        "value": "value",
        "ts_ns": "ts_ns",
    },
    "v_events": {
        "run_id": "run_id",
        "seq": "seq",
        "type": "type",
        "at": _AT.format("wall_ns"),
        "wall_ns": "wall_ns",
        "cause_seq": "cause_seq",
        "attempt": "attempt",
        "event": "event_of(run_id, seq)",
    },
}
"""View -> column -> what it is made of. Names and meanings stay; columns may be added at the end."""

_SOURCES = {
    "v_runs": "runs WHERE id > 0",  # run 0 is the journal of the daemon, whose events are in v_events
    "v_tasks": "tasks",
    # Both, so that a task of a run leads to its attempts.
    "v_attempts": "attempts AS a JOIN tasks AS t ON t.id = a.task_id AND t.run_id = a.run_id",
    "v_metrics": "metrics",
    "v_events": "events",
}


class Functions:
    """What the views call. A failure inside is kept, because SQLite only says that there was one."""

    def __init__(self, texts: sqlite3.Connection) -> None:
        self.failure: AltlasError | None = None
        self._texts = texts
        self._read_text = lru_cache(_REMEMBERED)(Library(texts).text)  # many attempts share a text

    def register(self, connection: sqlite3.Connection) -> None:
        for name, count, function in (
            ("is_alive", 1, is_alive),
            ("text_of", 1, self._text_of),
            ("event_of", 2, self._event_of),
            ("cases_of", 1, self._cases_of),
            ("parts_of", 3, _parts_of),
            ("tokens_of", 1, _tokens_of),
            ("logps_of", 2, _logps_of),
            ("fingerprint_of", 1, unpack_fingerprint),
        ):
            connection.create_function(name, count, function, deterministic=name != "is_alive")

    def _text_of(self, number: int | None) -> str | None:
        if number is None:
            return None
        return self._kept(lambda: self._read_text(number))

    def _event_of(self, run_id: int, seq: int) -> str | None:
        def read() -> str:
            [event] = queries.events_page(self._texts, run_id, after=seq - 1, limit=1)
            return _json(msgspec.msgpack.decode(event.payload))

        return self._kept(read)

    def _cases_of(self, packed: bytes) -> str | None:
        def read() -> str:
            cases = unpack_cases(packed)
            return _json([{"passed": passed, "hidden": hidden, "got": got} for passed, hidden, got in cases])

        return self._kept(read)

    def _kept(self, read: Callable[[], str]) -> str:
        try:
            return read()[:LONGEST_TEXT]
        except AltlasError as error:
            self.failure = error
            raise


def publish(connection: sqlite3.Connection, texts: sqlite3.Connection) -> Functions:
    """Make the views on a connection. `texts` is another one to the same file, on which texts are read."""
    functions = Functions(texts)
    functions.register(connection)
    for view, columns in VIEWS.items():
        made = ", ".join(f'{source} AS "{name}"' for name, source in columns.items())
        connection.execute(f"CREATE TEMP VIEW {view} AS SELECT {made} FROM {_SOURCES[view]}")
    return functions


def _parts_of(names: str, rewards: bytes, exact: bytes) -> str:
    known = reward_names(names)
    return _json(dict(zip(known, exact_rewards(rewards, len(known), exact), strict=True)))


def _tokens_of(packed: bytes) -> str:
    return _json(unpack_tokens(packed))


def _logps_of(packed: bytes, exact: bytes) -> str:
    return _json(unpack_logps(packed, exact))


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
