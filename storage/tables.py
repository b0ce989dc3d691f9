"""The tables, one class each: the one source of the schema.

Migrations make these tables and a test holds the two equal. Nothing on a hot or a reading path
imports this module: rows are written by `storage.writer` and read by `storage.reading.queries` as plain SQL.
Times are nanoseconds since the epoch (`_ns`). Attempts are narrow: what is long is a number of `bodies`.
"""

from __future__ import annotations

from sqlalchemy import Column, Connection, Float, Index, Integer, LargeBinary, Text, column, event, text
from sqlmodel import Field, SQLModel


class Runs(SQLModel, table=True):
    """One training run. The totals are kept by the writer, in the transactions that change them."""

    __table_args__ = (Index("ix_runs_name", "name"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    name: str
    suite: str
    seed: int
    status: str
    """running, ended, interrupted, crashed or deleting."""
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
    note: str | None = None
    """What somebody wrote about it."""
    heartbeat_ns: int | None = None
    """When its process last said that it lives."""


class RunTags(SQLModel, table=True):
    """A word that somebody gave to a run."""

    __tablename__ = "run_tags"  # pyright: ignore[reportAssignmentType] - SQLModel takes a text
    __table_args__ = (Index("ix_run_tags_tag", "tag", "run_id"), {"sqlite_with_rowid": False})

    run_id: int = Field(foreign_key="runs.id", primary_key=True)
    tag: str = Field(primary_key=True)


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


class Labels(SQLModel, table=True):
    """A word that many attempts share: a status, an arm, a rung, an engine."""

    id: int | None = Field(default=None, primary_key=True)
    text: str = Field(sa_column=Column("text", Text, nullable=False, unique=True))


class RewardSchemas(SQLModel, table=True):
    """The names of rewards in the order in which attempts keep their values."""

    __tablename__ = "reward_schemas"  # pyright: ignore[reportAssignmentType] - SQLModel takes a text

    id: int | None = Field(default=None, primary_key=True)
    names: str = Field(sa_column=Column("names", Text, nullable=False, unique=True))
    """A JSON array of texts."""


class Dictionaries(SQLModel, table=True):
    """What texts are compressed with. None is ever deleted: without it they cannot be read."""

    id: int | None = Field(default=None, primary_key=True)
    hash: bytes = Field(sa_type=LargeBinary)
    """BLAKE2b-128 of `data`."""
    made_ns: int
    data: bytes = Field(sa_type=LargeBinary)


class SpareDictionaries(SQLModel, table=True):
    """Every dictionary once more, on other pages: one damaged page must not take all texts with it."""

    __tablename__ = "spare_dictionaries"  # pyright: ignore[reportAssignmentType] - SQLModel takes a text

    id: int | None = Field(default=None, primary_key=True)
    hash: bytes = Field(sa_type=LargeBinary)
    data: bytes = Field(sa_type=LargeBinary)


class Bodies(SQLModel, table=True):
    """One text, stored once: a program, what it wrote, what was said about it."""

    id: int | None = Field(default=None, primary_key=True)
    hash: bytes = Field(sa_type=LargeBinary)
    """BLAKE2b-128 of the text in UTF-8."""
    dictionary: int
    """What it is compressed with; 0: no dictionary, -1: it is not compressed."""
    size: int
    """Bytes of the text in UTF-8."""
    data: bytes = Field(sa_type=LargeBinary)


class BodyHashes(SQLModel, table=True):
    """What finds texts by their hashes; it follows them a moment behind."""

    __tablename__ = "body_hashes"  # pyright: ignore[reportAssignmentType] - SQLModel takes a text
    __table_args__ = ({"sqlite_with_rowid": False},)

    hash: bytes = Field(sa_column=Column("hash", LargeBinary, primary_key=True))
    body_id: int


class Attempts(SQLModel, table=True):
    """One judged attempt. Texts of programs are foreign: whoever shows them cleans them.

    There are no foreign keys here: to look up a dozen rows costs as much as to write one. The writer looks
    up or makes what it points to, once for all attempts, and `altlas db check` looks for what is missing.
    """

    __table_args__ = (
        Index("ix_attempts_run_number", "run_id", "number", unique=True),
        Index(
            "ix_attempts_run_score", "run_id", column("score", Float).desc(), column("number", Integer).desc()
        ),
        Index("ix_attempts_run_solved", "run_id", "number", sqlite_where=text("solved = 1")),
        Index("ix_attempts_task_number", "task_id", "number"),
    )

    id: int | None = Field(default=None, primary_key=True)
    run_id: int
    number: int
    group_no: int
    task_id: int
    instance: str | None = None
    """What stands behind the `#` of the id of the task instance; NULL where there is none."""
    policy_version: int
    arm_id: int
    status_id: int
    score: float
    solved: bool
    passed: int
    total: int
    fingerprint: bytes = Field(sa_type=LargeBinary)
    cpu_s: float
    wall_s: float
    max_rss_mb: float
    rung_id: int
    engine_id: int
    ts_ns: int
    reward_schema_id: int
    rewards: bytes = Field(sa_type=LargeBinary)
    """A mask and little-endian float32: see `storage.packing.vectors`, for these and the next three."""
    exact: bytes = Field(sa_type=LargeBinary)
    tokens: bytes = Field(sa_type=LargeBinary)
    logps: bytes = Field(sa_type=LargeBinary)
    cases: bytes = Field(sa_type=LargeBinary)
    """How each test went: see `storage.packing.cases`."""
    code_id: int
    stdout_id: int
    stderr_id: int
    violations_id: int
    """A JSON array of texts."""
    feedback_id: int | None = None
    """A JSON object: what the tools say about it; NULL for an attempt of an older AltLAS."""
    strategy_id: int | None = None
    """A JSON object: how it was drawn; NULL where an arm draws from no distribution, and of an older AltLAS."""


class Curves(SQLModel, table=True):
    """A stretch of `storage.rollups.STRETCH` attempts of a run, summed up by the writer."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: int = Field(foreign_key="runs.id", primary_key=True)
    stretch: int = Field(primary_key=True)
    """The number of an attempt divided by the length of a stretch."""
    attempts: int
    solved: int
    score_sum: float
    score_max: float
    statuses: int
    """Bit i is set if one of them has a status whose label is i, modulo `storage.rollups.STATUS_BITS`."""


class Tallies(SQLModel, table=True):
    """How many attempts at a task ended so, counted by the writer."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: int = Field(foreign_key="runs.id", primary_key=True)
    task_id: int = Field(foreign_key="tasks.id", primary_key=True)
    status_id: int = Field(primary_key=True)
    solved: bool = Field(primary_key=True)
    attempts: int


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

    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: int = Field(foreign_key="runs.id", primary_key=True)
    seq: int = Field(primary_key=True)
    type: str
    monotonic_ns: int
    wall_ns: int
    cause_seq: int | None = None
    attempt: int | None = None
    """The number of the attempt that this event told of, from which its payload is made again."""
    payload: bytes = Field(sa_type=LargeBinary)
    """msgpack; with an attempt, the form in which it is made again."""


class Gaps(SQLModel, table=True):
    """Events that were lost with a damaged file, as `altlas db recover` found."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: int = Field(foreign_key="runs.id", primary_key=True)
    first_seq: int = Field(primary_key=True)
    last_seq: int


class Checkpoints(SQLModel, table=True):
    """One saved policy version: where its file lies and what it must hash to."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: int = Field(foreign_key="runs.id", primary_key=True)
    version: int = Field(primary_key=True)
    path: str
    sha256: str
    ts_ns: int
    seq: int | None = None
    """The last event of the run that it contains; NULL for a checkpoint of an older AltLAS."""


class Exams(SQLModel, table=True):
    """What the policy of a run was worth: fresh samples of one of its checkpoints on every task of its suite."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    run_id: int = Field(foreign_key="runs.id", primary_key=True)
    taken_ns: int = Field(primary_key=True)
    version: int
    """Of the policy."""
    sha256: str
    """Of the checkpoint that was examined."""
    seed: int
    k: int
    """Samples of each instance."""
    report_json: str = Field(sa_type=Text)
    """The whole report: means with their intervals, and how each instance of each task went."""


class Positions(SQLModel, table=True):
    """How far work that is done bit by bit has come."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    name: str = Field(primary_key=True)
    position: int


class Fingerprints(SQLModel, table=True):
    """What finds attempts by their fingerprints; it follows them a moment behind."""

    __table_args__ = ({"sqlite_with_rowid": False},)

    fingerprint: bytes = Field(sa_column=Column("fingerprint", LargeBinary, primary_key=True))
    attempt_id: int = Field(primary_key=True)


class SearchedBodies(SQLModel, table=True):
    """A program that can be searched for, and the attempt that stands for it."""

    __tablename__ = "searched_bodies"  # pyright: ignore[reportAssignmentType] - SQLModel takes a text

    body_id: int | None = Field(default=None, primary_key=True)
    attempt_id: int
    """No foreign key: the rows that have none would be looked through for each attempt that is deleted."""


PROGRAM_SEARCH = (
    "CREATE VIRTUAL TABLE program_search USING fts5(code, content='', columnsize=0, "
    "tokenize=\"unicode61 remove_diacritics 0 tokenchars '_$'\")"
)
"""Words of programs; a row has the id of the attempt that stands for its program. Made beside the classes."""


@event.listens_for(SQLModel.metadata, "after_create")
def _make_search(_: object, connection: Connection, **_options: object) -> None:
    connection.exec_driver_sql(PROGRAM_SEARCH)
