"""What a part of a run must remember to go on as if it had never stopped: plain records for a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.records import Attempt, GroupPlan, Record, Sample

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


class ReplayState(Record):
    """Solved programs by task, in the order in which they are forgotten."""

    solutions: tuple[tuple[str, tuple[Sample, ...]], ...]


class StudentState(Record):
    """What a student knows beside weights, optimiser, random generators of torch and programs seen."""

    version: int
    chance: Chance
    replay: ReplayState
