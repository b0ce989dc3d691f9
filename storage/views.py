"""What a question is answered with: frozen records of plain values."""

from __future__ import annotations

from altlas_agent.core.records import CaseResult, Record, Status, ToolFeedback


class RunView(Record, frozen=True):
    """One run, with its totals."""

    id: int
    name: str
    suite: str
    seed: int
    status: str
    reason: str
    started_ns: int
    ended_ns: int | None
    version: str
    pid: int
    jail_rung: str
    jail_layers: tuple[str, ...]
    attempts: int
    solved: int
    tasks: int
    best_score: float | None
    wall_s: float


class TaskView(Record, frozen=True):
    """One task of a run; `solution` is the program of the attempt that first solved it."""

    id: int
    key: str
    name: str
    language: str
    kind: str
    rung: int
    difficulty: float
    description: str
    attempts: int
    best_score: float | None
    solved_attempt: int | None
    solution: str | None


class AttemptLine(Record, frozen=True):
    """One attempt as a line of a list."""

    run_id: int
    number: int
    task: str
    language: str
    policy_version: int
    arm: str
    status: str
    score: float
    solved: bool
    passed: int
    total: int
    cpu_s: float
    ts_ns: int


class AttemptView(Record, frozen=True):
    """One attempt with everything that is known about it. A part that was not finite is None."""

    run_id: int
    number: int
    task: str
    language: str
    description: str
    instance_id: str
    group_no: int
    policy_version: int
    arm: str
    status: str
    score: float
    parts: dict[str, float | None]
    solved: bool
    passed: int
    total: int
    cases: tuple[CaseResult, ...]
    violations: tuple[str, ...]
    cpu_s: float
    wall_s: float
    max_rss_mb: float
    rung: str
    engine: str
    fingerprint: str
    ts_ns: int
    tokens: tuple[int, ...]
    logps: tuple[float, ...]
    code: str
    stdout: str
    stderr: str
    feedback: ToolFeedback | None


class CheckpointView(Record, frozen=True):
    """One checkpoint file."""

    version: int
    path: str
    sha256: str
    ts_ns: int


class AttemptFilter(Record, frozen=True):
    """Which attempts of one run are meant; a `task_id` is a task's number in the database."""

    run_id: int
    task_id: int | None = None
    solved: bool = False
    status: Status | None = None
    min_score: float | None = None
