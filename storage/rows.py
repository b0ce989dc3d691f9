"""What is written: one row type per table, made from records by pure functions.

The fields of a row are the parameters of its statement in `storage.inserts`, in that order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from storage.packing.cases import pack_cases
from storage.packing.vectors import pack, pack_tokens

if TYPE_CHECKING:
    from altlas_agent.core.events import Envelope
    from altlas_agent.core.records import Judged, Task

_json = msgspec.json.Encoder()
_msgpack = msgspec.msgpack.Encoder()


class RunRow(NamedTuple):
    """A run that begins."""

    name: str
    suite: str
    seed: int
    started_ns: int
    version: str
    pid: int
    settings_json: str


class EndRow(NamedTuple):
    """How a run ended. Without `wall_s` its length is taken from the wall clock."""

    run_id: int
    status: str
    reason: str
    ended_ns: int
    wall_s: float | None = None


class TaskRow(NamedTuple):
    """One task of a run."""

    run_id: int
    key: str
    name: str
    language: str
    kind: str
    rung: int
    difficulty: float
    description: str
    spec_json: str


class AttemptRow(NamedTuple):
    """One judged attempt; its task is found by `task_key` within the run."""

    run_id: int
    task_key: str
    number: int
    group_no: int
    instance_id: str
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
    reward_names: tuple[str, ...]
    rewards: bytes
    exact: bytes
    """What the packed rewards and logps round."""
    tokens: bytes
    logps: bytes
    cases: bytes
    code: str
    stdout: str
    stderr: str
    violations: str
    feedback: str | None
    strategy: str | None = None


def texts_of(row: AttemptRow) -> tuple[str | None, ...]:
    """Its last six fields: what is stored apart, once for all attempts that share it."""
    return row[-6:]


class SolvedRow(NamedTuple):
    """The attempt that first solved a task."""

    run_id: int
    task_key: str
    number: int


class MetricRow(NamedTuple):
    """One number about one policy version; None stands for a value that is not finite."""

    run_id: int
    name: str
    version: int
    value: float | None
    ts_ns: int


class EventRow(NamedTuple):
    """One durable event; an attempt as its payload stands for the event that told of it."""

    run_id: int
    seq: int
    type: str
    monotonic_ns: int
    wall_ns: int
    cause_seq: int | None
    payload: bytes | AttemptRow


class CheckpointRow(NamedTuple):
    """One checkpoint file that lies complete on disk."""

    run_id: int
    version: int
    path: str
    sha256: str
    ts_ns: int
    seq: int | None = None
    """The last event of the run that it contains."""


class HeartbeatRow(NamedTuple):
    """The process of a run lives."""

    run_id: int
    heartbeat_ns: int


class JailRow(NamedTuple):
    """The jail that a run found."""

    run_id: int
    rung: str
    layers: str


@dataclass(slots=True)
class Rows:
    """What is committed together, or not at all. Rows that are already stored are passed over."""

    attempts: list[AttemptRow] = field(default_factory=list[AttemptRow])
    solved: list[SolvedRow] = field(default_factory=list[SolvedRow])
    metrics: list[MetricRow] = field(default_factory=list[MetricRow])
    events: list[EventRow] = field(default_factory=list[EventRow])
    checkpoints: list[CheckpointRow] = field(default_factory=list[CheckpointRow])
    jails: list[JailRow] = field(default_factory=list[JailRow])
    ends: list[EndRow] = field(default_factory=list[EndRow])
    heartbeats: list[HeartbeatRow] = field(default_factory=list[HeartbeatRow])

    def __len__(self) -> int:
        return (
            len(self.attempts)
            + len(self.solved)
            + len(self.metrics)
            + len(self.events)
            + len(self.checkpoints)
            + len(self.jails)
            + len(self.ends)
            + len(self.heartbeats)
        )

    def extend(self, other: Rows) -> None:
        """Take over the rows of `other`, after those already here."""
        self.attempts += other.attempts
        self.solved += other.solved
        self.metrics += other.metrics
        self.events += other.events
        self.checkpoints += other.checkpoints
        self.jails += other.jails
        self.ends += other.ends
        self.heartbeats += other.heartbeats


def task_row(run_id: int, task: Task) -> TaskRow:
    return TaskRow(
        run_id=run_id,
        key=task.key,
        name=task.name,
        language=task.target_language,
        kind=task.kind.value,
        rung=task.rung,
        difficulty=task.difficulty,
        description=task.description,
        spec_json=_text(task),
    )


def attempt_row(run_id: int, judged: Judged, *, ts_ns: int) -> AttemptRow:
    attempt, outcome, score = judged.attempt, judged.outcome, judged.score
    numbers = pack(tuple(score.parts.values()), attempt.logps)
    return AttemptRow(
        run_id=run_id,
        task_key=task_key(attempt.task_id),
        number=attempt.number,
        group_no=attempt.group,
        instance_id=attempt.task_id,
        policy_version=attempt.policy_version,
        arm=attempt.arm.value,
        status=outcome.status.value,
        score=score.value,
        solved=score.solved,
        passed=outcome.passed,
        total=len(outcome.cases),
        fingerprint=judged.fingerprint,
        cpu_s=outcome.cpu_s,
        wall_s=outcome.wall_s,
        max_rss_mb=outcome.max_rss_mb,
        rung=outcome.rung,
        engine=outcome.engine,
        ts_ns=ts_ns,
        reward_names=tuple(score.parts),
        rewards=numbers.rewards,
        exact=numbers.exact,
        tokens=pack_tokens(attempt.tokens),
        logps=numbers.logps,
        cases=pack_cases(outcome.cases),
        code=attempt.code,
        stdout=outcome.stdout,
        stderr=outcome.stderr,
        violations=_text(outcome.violations),
        feedback=None if judged.feedback is None else _text(judged.feedback),
        strategy=None if attempt.strategy is None else _text(attempt.strategy),
    )


def metric_rows(run_id: int, version: int, metrics: dict[str, float], *, ts_ns: int) -> list[MetricRow]:
    return [
        MetricRow(run_id, name, version, value if math.isfinite(value) else None, ts_ns)
        for name, value in metrics.items()
    ]


def event_row(envelope: Envelope, attempt: AttemptRow | None = None) -> EventRow:
    """The row of an event; with the attempt that it told of, one that shares its texts."""
    return EventRow(
        run_id=envelope.run_id,
        seq=envelope.seq,
        type=type(envelope.event).__name__,
        monotonic_ns=envelope.monotonic_ns,
        wall_ns=envelope.wall_ns,
        cause_seq=envelope.cause_seq,
        payload=attempt or envelope.payload or _msgpack.encode(envelope.event),
    )


def jail_row(run_id: int, rung: str, layers: tuple[str, ...]) -> JailRow:
    return JailRow(run_id, rung, _text(layers))


def task_key(task_id: str) -> str:
    """`suite/name` of the task instance `suite/name#instance`."""
    return task_id.partition("#")[0]


def _text(value: object) -> str:
    return _json.encode(value).decode()
