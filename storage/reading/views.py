"""What a question is answered with: frozen records of plain values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from altlas_agent.core.records import Arm, CaseResult, Record, Status, Strategy, ToolFeedback
from storage.packing.cases import unpack_cases
from storage.packing.vectors import exact_rewards, unpack_logps, unpack_tokens

if TYPE_CHECKING:
    from storage.packing.stored import Stored


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
    heartbeat_ns: int | None = None
    note: str = ""
    tags: tuple[str, ...] = ()


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
    """One attempt as a line of a list. `id` is its place among the attempts of all runs."""

    id: int
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
    strategy: Strategy | None = None


class CurvePoint(Record, frozen=True):
    """A stretch of the attempts of a run. `stretch` times `storage.rollups.STRETCH` is its first number."""

    stretch: int
    attempts: int
    solved: int
    mean_score: float
    best_score: float


class EventView(NamedTuple):
    """One event; `payload` is the msgpack of what was announced."""

    run_id: int
    seq: int
    type: str
    monotonic_ns: int
    wall_ns: int
    cause_seq: int | None
    payload: bytes


class CheckpointView(Record, frozen=True):
    """One checkpoint file."""

    version: int
    path: str
    sha256: str
    ts_ns: int
    seq: int | None = None


class AttemptFilter(Record, frozen=True):
    """Which attempts of one run are meant; a `task_id` is a task's number in the database."""

    run_id: int
    task_id: int | None = None
    solved: bool = False
    status: Status | None = None
    min_score: float | None = None
    arm: Arm | None = None
    version: int | None = None

    @property
    def is_counted(self) -> bool:
        """False when only looking at attempts one by one would tell how many there are."""
        return self.arm is None and self.version is None


def attempt_view(stored: Stored) -> AttemptView:
    """What is known about an attempt, for whoever looks at it."""
    row = stored.attempt
    rewards = exact_rewards(row.rewards, len(row.reward_names), row.exact)
    return AttemptView(
        run_id=row.run_id,
        number=row.number,
        task=row.task_key,
        language=stored.language,
        description=stored.description,
        instance_id=row.instance_id,
        group_no=row.group_no,
        policy_version=row.policy_version,
        arm=row.arm,
        status=row.status,
        score=row.score,
        parts={
            name: value if math.isfinite(value) else None
            for name, value in zip(row.reward_names, rewards, strict=True)
        },
        solved=bool(row.solved),
        passed=row.passed,
        total=row.total,
        cases=tuple(
            CaseResult(passed=passed, hidden=hidden, got=got)
            for passed, hidden, got in unpack_cases(row.cases)
        ),
        violations=msgspec.json.decode(row.violations, type=tuple[str, ...]),
        cpu_s=row.cpu_s,
        wall_s=row.wall_s,
        max_rss_mb=row.max_rss_mb,
        rung=row.rung,
        engine=row.engine,
        fingerprint=row.fingerprint,
        ts_ns=row.ts_ns,
        tokens=unpack_tokens(row.tokens),
        logps=unpack_logps(row.logps, row.exact),
        code=row.code,
        stdout=row.stdout,
        stderr=row.stderr,
        feedback=None if row.feedback is None else msgspec.json.decode(row.feedback, type=ToolFeedback),
        strategy=None if row.strategy is None else msgspec.json.decode(row.strategy, type=Strategy),
    )
