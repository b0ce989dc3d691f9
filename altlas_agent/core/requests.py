"""What the daemon asks of a student or a worker process, and what they answer."""

from __future__ import annotations

import msgspec

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


class CheckpointFile(Record):
    """A checkpoint on disk, and the SHA-256 of its bytes in hexadecimal."""

    path: str
    sha256: str


class SetUpStudent(Record):
    """First request to a student. `settings` is the JSON text of the resolved settings.

    With a checkpoint it goes on from there, with one that `seed` made.
    """

    settings: str
    seed: int
    checkpoint: CheckpointFile | None = None


class StudentReady(Record):
    """What was built: how many weights the policy has, its version, and what `Save` was given along.

    `features` tells what the policy is made of, for people: name of a part to its size, or to off.
    """

    parameters: int
    version: int
    loop: bytes
    features: dict[str, str]


class Steer(Record):
    """Go on under these settings, the JSON text of all of them; only live ones may differ."""

    settings: str


class Generate(Record):
    """Write the attempts of these groups, in order."""

    plans: tuple[GroupPlan, ...]


class Generated(Record):
    """The attempts, numbered as planned, and how the batch looked.

    `cuts` says what of the texts was too long to be read, a sentence each, once in the life of a student.
    """

    attempts: tuple[Attempt, ...]
    metrics: dict[str, float]
    cuts: tuple[str, ...] = ()


class Learn(Record):
    """Take one learning step from these groups."""

    groups: tuple[Group, ...]


class Learned(Record):
    """The new policy version, the figures of the step, and groups that taught nothing with the reason."""

    version: int
    metrics: dict[str, float]
    dropped: dict[int, str]


class Save(Record):
    """Write a checkpoint into this folder; `loop` is kept in it as it is."""

    folder: str
    loop: bytes = b""


class Saved(Record):
    """Where the checkpoint lies, and the SHA-256 of its bytes in hexadecimal."""

    path: str
    sha256: str
    version: int


class RungChange(Record):
    """Programs of a language run on another rung of the ladder of jails from now on.

    `layers` are those of the rung `after`; `why` is what failed above it, "" when nothing did.
    """

    language: str
    before: str
    after: str
    layers: tuple[str, ...]
    why: str

    def __str__(self) -> str:
        reason = f": {self.why}" if self.why else ""
        return f"{self.language} programs run on rung {self.after} instead of {self.before}{reason}"


class WorkerReply(Record, kw_only=True):
    """The base of what a worker answers: what has changed in its jails since its last answer."""

    rung_changes: tuple[RungChange, ...] = ()


class SetUpWorker(Record):
    """First request to a worker. `settings` is the JSON text of the resolved settings.

    Who takes the place of a lost worker hears by language on which rung that one ran programs `last`,
    and on which it had ever run them at `best`.
    """

    settings: str
    languages: tuple[str, ...]
    last: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    best: dict[str, str] = msgspec.field(default_factory=dict[str, str])


class WorkerReady(WorkerReply):
    """For each language the rung of the ladder of jails that was proved to work, and the layers in force."""

    rungs: dict[str, str]
    layers: tuple[str, ...]


class Judge(Record):
    """Run and score one attempt; a success must also hold on `siblings`, instances of the same family."""

    task: Task
    attempt: Attempt
    siblings: tuple[Task, ...] = ()


class JudgedReply(WorkerReply):
    """One judged attempt."""

    judged: Judged


class Execute(Record):
    """Run one program."""

    program: Program
    limits: Limits


class Executed(WorkerReply):
    """What the run showed."""

    result: RunResult
