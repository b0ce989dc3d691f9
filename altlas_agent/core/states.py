"""What a part of a run must remember to go on as if it had never stopped: plain records for a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.nouns.tracks import StrategyState
from altlas_agent.core.records import Attempt, Fault, GroupPlan, Record, Sample, Task
from altlas_agent.core.requests import CheckpointFile  # noqa: TC001 - msgspec looks it up in this module

if TYPE_CHECKING:
    import random


class Chance(Record):
    """The state of one of Python's random generators."""

    version: int
    words: tuple[int, ...]
    gauss: float | None = None

    @classmethod
    def of(cls, rng: random.Random) -> Chance:
        """Taken from `rng`, which is not changed."""
        version, words, gauss = rng.getstate()
        return cls(version=version, words=words, gauss=gauss)

    def give(self, rng: random.Random) -> None:
        """Have `rng` go on from here. Raises ValueError for a state of another Python."""
        rng.setstate((self.version, self.words, self.gauss))


class Standing(Record):
    """How one task of the suite stands in a run."""

    groups: int = 0
    is_solved: bool = False


class CurriculumState(Record):
    """What was tried and solved, by task key in the order of the suite."""

    chance: Chance
    standings: dict[str, Standing]


class Pending(Record):
    """A batch that is written but not yet learned from. Nothing of it was announced."""

    plans: tuple[GroupPlan, ...]
    attempts: tuple[Attempt, ...]


class TaskShape(Record):
    """What the shaping of scores knows of one task, after `groups` of its groups.

    `mean` and `variance` run over the scores as the workers gave them, `best` is the best mean of a group,
    `stale` how many groups did not better it. `seen` has how often each program was proposed, by fingerprint,
    those named last at its end.
    """

    groups: int = 0
    mean: float = 0.0
    variance: float = 0.0
    best: float = 0.0
    stale: int = 0
    seen: dict[str, int] = msgspec.field(default_factory=dict[str, int])


class ShapingState(Record):
    """What the shaping of scores remembers, by task key; nothing while it is off."""

    tasks: dict[str, TaskShape] = msgspec.field(default_factory=dict[str, TaskShape])


class NearMiss(Record):
    """A program that came close to a solution."""

    tokens: tuple[int, ...]
    score: float


class Failure(Record):
    """How often one program failed on a task, and of what at last. `message` names no value of a hidden test."""

    times: int
    fault: Fault
    message: str = ""


class TaskFeedback(Record):
    """What the feedback on one task came to, after `groups` of its groups.

    `faults` counts the failed attempts by what was wrong, `recent` does so too but fades with every group.
    `failed` has the programs that failed, by fingerprint, those seen last at its end; `repeated` is the share of
    the failures of the last group whose program had failed before. `error` is what may be said of the last
    failure, `best` the best program that was no solution, and `blamed` how much of the blame of each group fell
    on a token, fading.
    """

    groups: int = 0
    faults: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    recent: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    failed: dict[str, Failure] = msgspec.field(default_factory=dict[str, Failure])
    repeated: float = 0.0
    error: str = ""
    best: NearMiss | None = None
    blamed: dict[int, float] = msgspec.field(default_factory=dict[int, float])


class FeedbackMemory(Record):
    """What is remembered of the feedback on attempts, by task key; nothing while that is off."""

    tasks: dict[str, TaskFeedback] = msgspec.field(default_factory=dict[str, TaskFeedback])


class LoopState(Record):
    """Where a training loop stands between two steps.

    `batches`, `groups`, `planned` and `attempts` count what was learned from, planned, planned, and
    announced. `settings` is the JSON text of the settings in force, steering included.
    """

    batches: int
    groups: int
    planned: int
    attempts: int
    best_score: float
    elapsed_s: float
    settings: str
    curriculum: CurriculumState
    pending: tuple[Pending, ...]
    shaping: ShapingState = ShapingState()
    feedback: FeedbackMemory = FeedbackMemory()


class ReplayState(Record):
    """Solved programs by task, in the order in which they are forgotten."""

    solutions: tuple[tuple[str, tuple[Sample, ...]], ...]


class FootingState(Record):
    """How often learning failed: steps skipped in a row, returns to older weights in a row, and returns in all.

    `good` is the checkpoint to go back to, where it is not the one that holds this.
    """

    skipped: int = 0
    returns: int = 0
    halvings: int = 0
    good: CheckpointFile | None = None


class AlgorithmState(Record):
    """What an algorithm remembers of earlier steps: running means of the scores, by task key."""

    baselines: dict[str, float] = msgspec.field(default_factory=dict[str, float])


class EntropyState(Record):
    """The regulated weight of the entropy bonus, the last entropy and success rate; None before the first step."""

    coefficient: float | None = None
    entropy: float | None = None
    success: float | None = None


class PaceState(Record):
    """A running mean of the scores, the best it was, steps since then, and what is left of the learning rate."""

    score: float | None = None
    best: float | None = None
    stale: int = 0
    share: float = 1.0
    broken: float = 0.0


class NormState(Record):
    """The lengths of the first gradients, then the running mean and variance of the length."""

    first: tuple[float, ...] = ()
    mean: float | None = None
    variance: float = 0.0


class ControlState(Record):
    """What is regulated from step to step, after `steps` of them."""

    steps: int = 0
    entropy: EntropyState = EntropyState()
    pace: PaceState = PaceState()
    norms: NormState = NormState()


class Sought(Record):
    """A task that the search arm works on: what it began with, and the steps taken since.

    `value` are the weights that order its expressions; none leaves them in the order of their size alone.
    """

    task: Task
    examples: tuple[Task, ...]
    steps: int = 0
    value: tuple[float, ...] = ()


class Tried(Record):
    """What the exploratory arms came to on one task: the best score so far, and how often each arm bettered it.

    `wins` and `trials` fade with every group, so that old luck counts less.
    """

    best: float = 0.0
    wins: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    trials: dict[str, float] = msgspec.field(default_factory=dict[str, float])
    near: tuple[NearMiss, ...] = ()


class ValueState(Record):
    """The weights of the learned value of expressions, after `groups` groups that taught something."""

    weights: tuple[float, ...] = ()
    groups: int = 0


class ExplorerState(Record):
    """What exploration remembers of the tasks that are not solved, by key."""

    chance: Chance
    tried: dict[str, Tried] = msgspec.field(default_factory=dict[str, Tried])
    sought: tuple[Sought, ...] = ()
    value: ValueState = ValueState()


class StudentState(Record):
    """What a student knows beside weights, optimiser, random generators of torch and programs seen.

    `parts` is in how many pieces it goes through the samples of a step. `cuts` is what was told of texts that were
    too long.
    """

    version: int
    chance: Chance
    replay: ReplayState
    explorer: ExplorerState
    footing: FootingState = FootingState()
    parts: int = 1
    algorithm: AlgorithmState = AlgorithmState()
    control: ControlState = ControlState()
    strategies: StrategyState = StrategyState()
    cuts: tuple[str, ...] = ()
