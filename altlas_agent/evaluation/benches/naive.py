"""The table that somebody would make first: an attempt is one wide row, its rewards JSON, its texts as they are.

It has the indexes of ours, so that it answers the same questions. Written with `executemany` it is the
baseline of the store, and once more row by row through SQLModel.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import Float, Index, Integer, StaticPool, column, create_engine, text
from sqlalchemy.orm import registry
from sqlmodel import Field, Session, SQLModel

from storage.database import PAGE_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from altlas_agent.core.records import Judged

WideRow = tuple[int | float | str, ...]

_PRAGMAS = (
    f"page_size = {PAGE_BYTES}",
    "journal_mode = WAL",
    "synchronous = FULL",
    "mmap_size = 0",
    "cache_size = -32768",
    "wal_autocheckpoint = 0",
)
_json = msgspec.json.Encoder()


class _Base(SQLModel, registry=registry()):
    """Apart from the tables of the store, so that no schema has one that is not there."""


class WideAttempt(_Base, table=True):
    """One attempt with everything about it. The order of the fields is that of `wide_row`, behind the id."""

    __tablename__ = "attempts"  # pyright: ignore[reportAssignmentType] - SQLModel takes a text
    __table_args__ = (
        Index("ix_run_number", "run_id", "number", unique=True),
        Index("ix_run_score", "run_id", column("score", Float).desc(), column("number", Integer).desc()),
        Index("ix_run_solved", "run_id", "number", sqlite_where=text("solved = 1")),
        Index("ix_task_number", "task", "number"),
        Index("ix_fingerprint", "fingerprint"),
    )

    id: int | None = Field(default=None, primary_key=True)
    run_id: int
    number: int
    group_no: int
    task: str
    policy_version: int
    arm: str
    status: str
    score: float
    solved: int
    passed: int
    total: int
    fingerprint: str
    cpu_s: float
    wall_s: float
    max_rss_mb: float
    rung: str
    engine: str
    ts_ns: int
    rewards: str
    tokens: str
    logps: str
    code: str
    stdout: str
    stderr: str
    cases: str
    violations: str
    feedback: str


FIELDS = [name for name in WideAttempt.model_fields if name != "id"]
_INSERT = f"INSERT INTO attempts ({', '.join(FIELDS)}) VALUES ({', '.join('?' * len(FIELDS))})"


def wide_row(run_id: int, judged: Judged, *, ts_ns: int) -> WideRow:
    attempt, outcome, score = judged.attempt, judged.outcome, judged.score
    return (
        run_id,
        attempt.number,
        attempt.group,
        attempt.task_id,
        attempt.policy_version,
        attempt.arm.value,
        outcome.status.value,
        score.value,
        int(score.solved),
        outcome.passed,
        len(outcome.cases),
        judged.fingerprint,
        outcome.cpu_s,
        outcome.wall_s,
        outcome.max_rss_mb,
        outcome.rung,
        outcome.engine,
        ts_ns,
        *(_text(part) for part in (score.parts, attempt.tokens, attempt.logps)),
        attempt.code,
        outcome.stdout,
        outcome.stderr,
        *(_text(part) for part in (outcome.cases, outcome.violations, judged.feedback)),
    )


class Naive:
    """A database with this table, written as durably as ours."""

    def __init__(self, path: Path) -> None:
        self._engine = create_engine("sqlite://", creator=lambda: _connect(path), poolclass=StaticPool)
        _Base.metadata.create_all(self._engine)
        self._connection = _connect(path)

    def insert(self, rows: Sequence[WideRow]) -> None:
        """One transaction."""
        self._connection.execute("BEGIN IMMEDIATE")
        self._connection.executemany(_INSERT, rows)
        self._connection.execute("COMMIT")

    def insert_by_sqlmodel(self, row: WideRow) -> None:
        """One row in a transaction of its own, as its documentation shows."""
        with Session(self._engine) as session:
            session.add(WideAttempt.model_validate(dict(zip(FIELDS, row, strict=True))))
            session.commit()

    def copy_back(self) -> None:
        """Checkpoint, so that the next rows begin with an empty WAL, as ours do."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self._engine.dispose()
        self._connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _text(value: object) -> str:
    return _json.encode(value).decode()
