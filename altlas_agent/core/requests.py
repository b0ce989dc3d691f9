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
    Share,
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


class ResetWeights(Record):
    """Draw weights anew: each becomes `keep` of what it is and `fresh` of what the beginning could have drawn.

    `layers` are names of parts as the weights are called (head is the output layer); a part stands for all that
    is below it, and none for the whole policy. `weights` leaves them alone when it is false, `moments` says whether
    the optimiser forgets what it knows of them. `why` is for people.
    """

    why: str
    layers: tuple[str, ...] = ()
    weights: bool = True
    moments: bool = True
    keep: Share = 0.0
    fresh: Share = 1.0


class WasReset(Record):
    """The names of the weights that were meant, and how many numbers they are together."""

    names: tuple[str, ...]
    numbers: int


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
