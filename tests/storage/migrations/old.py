"""Databases of older schemas, filled as the AltLAS of their time filled them."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.events import AttemptScored
from storage.migrations.apply import upgrade
from storage.rows import task_key, task_row
from tests.builders import NOW_NS, make_task

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from altlas_agent.core.records import Judged

_RUN = {
    "name": "first",
    "suite": "quickstart",
    "seed": 7,
    "status": "ended",
    "reason": "every task is solved",
    "started_ns": NOW_NS,
    "ended_ns": NOW_NS + 5,
    "version": "0.1.0",
    "pid": 1,
    "jail_rung": "python: zygote",
    "jail_layers": '["seccomp"]',
    "solved": 0,
    "tasks": 2,
    "wall_s": 1.5,
    "settings_json": "{}",
}


def make_old(path: Path, number: int, attempts: Sequence[Judged], *, feedback: str | None = None) -> None:
    """A database of schema `number`, 1 or 2, with one run. `feedback` replaces what attempts of schema 2 have."""
    upgrade(lambda: _connect(path), number=number)
    with closing(_connect(path)) as connection:
        connection.execute("BEGIN")
        scores = [judged.score.value for judged in attempts]
        totals = {"attempts": len(attempts), "best_score": max(scores, default=None)}
        _insert(connection, "runs", _RUN | totals)
        for name in ("add", "negate"):
            own = [each.score.value for each in attempts if task_key(each.attempt.task_id).endswith(name)]
            task = task_row(1, make_task(name))._asdict()
            _insert(connection, "tasks", task | {"attempts": len(own), "best_score": max(own, default=None)})
        for seq, judged in enumerate(attempts, 1):
            columns = _attempt(judged)
            if number == 2:
                columns["feedback"] = feedback or _json(judged.feedback)
            _insert(connection, "attempts", columns)
            _insert(connection, "events", _event(seq, judged))
        _insert(connection, "metrics", {"run_id": 1, "name": "loss", "version": 1, "value": None, "ts_ns": 1})
        checkpoint = {"run_id": 1, "version": 3, "path": "v3", "sha256": "ab" * 32, "ts_ns": 1}
        _insert(connection, "checkpoints", checkpoint)
        connection.execute("COMMIT")


def _attempt(judged: Judged) -> dict[str, object]:
    attempt, outcome, score = judged.attempt, judged.outcome, judged.score
    return {
        "run_id": 1,
        "number": attempt.number,
        "group_no": attempt.group,
        "task_id": 1 if task_key(attempt.task_id).endswith("add") else 2,
        "instance_id": attempt.task_id,
        "policy_version": attempt.policy_version,
        "arm": attempt.arm.value,
        "status": outcome.status.value,
        "score": score.value,
        "solved": score.solved,
        "passed": outcome.passed,
        "total": len(outcome.cases),
        "fingerprint": judged.fingerprint,
        "cpu_s": outcome.cpu_s,
        "wall_s": outcome.wall_s,
        "max_rss_mb": outcome.max_rss_mb,
        "rung": outcome.rung,
        "engine": outcome.engine,
        "ts_ns": NOW_NS + attempt.number,
        "parts": _json(score.parts),
        "violations": _json(outcome.violations),
        "cases": _json(outcome.cases),
        "tokens": struct.pack(f"<{len(attempt.tokens)}H", *attempt.tokens),
        "logps": struct.pack(f"<{len(attempt.logps)}f", *attempt.logps),
        "code": attempt.code,
        "stdout": outcome.stdout,
        "stderr": outcome.stderr,
    }


def _event(seq: int, judged: Judged) -> dict[str, object]:
    return {
        "run_id": 1,
        "seq": seq,
        "type": "AttemptScored",
        "monotonic_ns": seq,
        "wall_ns": NOW_NS + judged.attempt.number,
        "cause_seq": None,
        "payload": announced(judged),
    }


def announced(judged: Judged) -> bytes:
    """The event of an attempt as an AltLAS before schema 4 announced it: nobody said then how it was drawn."""
    event = msgspec.to_builtins(AttemptScored(judged=judged))
    del event["judged"]["attempt"]["strategy"]
    return msgspec.msgpack.encode(event)


def _insert(connection: sqlite3.Connection, table: str, columns: Mapping[str, object]) -> None:
    places = ", ".join("?" * len(columns))
    connection.execute(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", [*columns.values()])


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("page_size = 8192", "journal_mode = WAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
