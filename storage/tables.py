"""The tables, one class each: the one source of the schema.

Migrations make these tables and a test holds the two equal. Nothing on a hot or a reading path
imports this module: rows are written by `storage.writer` and read by `storage.queries` as plain SQL.
Times are nanoseconds since the epoch (`_ns`). Short columns come first, long texts last, so that a
page of a list reads no overflow pages.
"""

from __future__ import annotations

from sqlalchemy import Float, Index, Integer, LargeBinary, Text, column, text
from sqlmodel import Field, SQLModel


class Runs(SQLModel, table=True):
    """One training run. The totals are kept by the writer, in the transactions that change them."""

    __table_args__ = (Index("ix_runs_name", "name"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    name: str
    suite: str
    seed: int
    status: str
    """running, ended, interrupted or crashed."""
    reason: str = ""
    started_ns: int
    ended_ns: int | None = None
    version: str
    """The AltLAS that made the run."""
    pid: int
    jail_rung: str = ""
    jail_layers: str = "[]"
    """A JSON array of names."""
    attempts: int = 0
    solved: int = 0
    """How many of its tasks are solved."""
    tasks: int = 0
    best_score: float | None = None
    wall_s: float = 0.0
    settings_json: str = Field(sa_type=Text)


class Tasks(SQLModel, table=True):
    """One task of one run, whatever its instances; `spec_json` is the whole task record."""

    __table_args__ = (Index("ix_tasks_run_key", "run_id", "key", unique=True),)

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="runs.id")
    key: str
    name: str
    language: str
    kind: str
    rung: int
    difficulty: float
    solved_attempt: int | None = None
    """The number, in the run, of the attempt that first solved it."""
    attempts: int = 0
    best_score: float | None = None
    description: str = Field(sa_type=Text)
    spec_json: str = Field(sa_type=Text)


class Attempts(SQLModel, table=True):
    """One judged attempt. Texts of programs are foreign: whoever shows them cleans them."""

    __table_args__ = (
        Index("ix_attempts_run_number", "run_id", "number", unique=True),
        Index(
            "ix_attempts_run_score", "run_id", column("score", Float).desc(), column("number", Integer).desc()
        ),
        Index("ix_attempts_run_solved", "run_id", "number", sqlite_where=text("solved = 1")),
        Index("ix_attempts_task_number", "task_id", "number"),
        Index("ix_attempts_fingerprint", "fingerprint"),
    )

    id: int | None = Field(default=None, primary_key=True)
    run_id: int = Field(foreign_key="runs.id")
    number: int
    group_no: int
    task_id: int = Field(foreign_key="tasks.id")
    instance_id: str
    """The id of the task instance, `suite/name` or `suite/name#instance`."""
    policy_version: int
    arm: str
    status: str
    score: float
    solved: bool
    passed: int
    total: int
    fingerprint: str
    cpu_s: float
    wall_s: float
    max_rss_mb: float
    rung: str
    engine: str
    ts_ns: int
    parts: str = Field(sa_type=Text)
    """A JSON object: the score of each scorer."""
    violations: str = Field(sa_type=Text)
    """A JSON array of texts."""
    cases: str = Field(sa_type=Text)
    """A JSON array: how each test went."""
    tokens: bytes = Field(sa_type=LargeBinary)
    """Little-endian uint16, as sampled."""
    logps: bytes = Field(sa_type=LargeBinary)
    """Little-endian float32, natural log, as sampled."""
    code: str = Field(sa_type=Text)
    stdout: str = Field(sa_type=Text)
    stderr: str = Field(sa_type=Text)
    feedback: str | None = Field(default=None, sa_type=Text)
    """A JSON object: what the tools say about it; NULL for an attempt of an older AltLAS."""


class Metrics(SQLModel, table=True):
    """One number about one policy version. NULL stands for a value that was not finite."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: int = Field(foreign_key="runs.id", primary_key=True)
    name: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    value: float | None = None
    ts_ns: int


class Events(SQLModel, table=True):
    """One fact as it was announced, in the gap-free order of its run."""

    run_id: int = Field(foreign_key="runs.id", primary_key=True)
    seq: int = Field(primary_key=True)
    type: str
    monotonic_ns: int
    wall_ns: int
    cause_seq: int | None = None
    payload: bytes = Field(sa_type=LargeBinary)
    """msgpack."""


class Checkpoints(SQLModel, table=True):
    """One saved policy version: where its file lies and what it must hash to."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: int = Field(foreign_key="runs.id", primary_key=True)
    version: int = Field(primary_key=True)
    path: str
    sha256: str
    ts_ns: int
