"""What the daemon asks of a student or a worker process, and what they answer."""

from __future__ import annotations

from altlas_agent.core.records import (
    Attempt,
    Group,
    GroupPlan,
    Judged,
    Limits,
    Program,
    Record,
    RunResult,
    Task,
)


class Done(Record):
    """The request was carried out; there is nothing to tell."""


class SetUpStudent(Record):
    """First request to a student. `settings` is the JSON text of the resolved settings."""

    settings: str
    seed: int


class StudentReady(Record):
    """What was built: how many weights the policy has."""

    parameters: int


class Generate(Record):
    """Write the attempts of these groups, in order."""

    plans: tuple[GroupPlan, ...]


class Generated(Record):
    """The attempts, numbered as planned, and how the batch looked."""

    attempts: tuple[Attempt, ...]
    metrics: dict[str, float]


class Learn(Record):
    """Take one learning step from these groups."""

    groups: tuple[Group, ...]


class Learned(Record):
    """The new policy version, the figures of the step, and groups that taught nothing with the reason."""

    version: int
    metrics: dict[str, float]
    dropped: dict[int, str]


class Save(Record):
    """Write a checkpoint into this folder."""

    folder: str


class Saved(Record):
    """Where the checkpoint lies, and the SHA-256 of its bytes in hexadecimal."""

    path: str
    sha256: str
    version: int


class SetUpWorker(Record):
    """First request to a worker. `settings` is the JSON text of the resolved settings."""

    settings: str
    languages: tuple[str, ...]


class WorkerReady(Record):
    """For each language the rung of the ladder of jails that was proved to work, and the layers in force."""

    rungs: dict[str, str]
    layers: tuple[str, ...]


class Judge(Record):
    """Run and score one attempt; a success must also hold on `siblings`, instances of the same family."""

    task: Task
    attempt: Attempt
    siblings: tuple[Task, ...] = ()


class JudgedReply(Record):
    """One judged attempt."""

    judged: Judged


class Execute(Record):
    """Run one program."""

    program: Program
    limits: Limits


class Executed(Record):
    """What the run showed."""

    result: RunResult
