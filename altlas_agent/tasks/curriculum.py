"""Which task next: easy ones first, a stretch of groups each, solved ones now and then."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.clock import derive_seed
from altlas_agent.core.errors import RunRefusedError
from altlas_agent.core.states import Chance, CurriculumState, Standing

if TYPE_CHECKING:
    from altlas_agent.core.records import Case, Task
    from altlas_agent.settings.tasks import TaskSettings
    from altlas_agent.tasks.loader import Suite


TRIES_PER_SIBLING = 8
_ANEW = "start it anew: altlas run start"


class Curriculum:
    """Picks the tasks of each batch, in an order that depends on `seed` and on what was solved only."""

    def __init__(self, suite: Suite, settings: TaskSettings, seed: int) -> None:
        self._entries = {entry.key: entry for entry in suite.entries}
        self._settings = settings
        self._rng = random.Random(derive_seed(seed, "curriculum"))
        self._standings = {key: Standing() for key in self._entries}

    def state(self) -> CurriculumState:
        """To go on from later."""
        return CurriculumState(chance=Chance.of(self._rng), standings=dict(self._standings))

    def restore(self, state: CurriculumState) -> None:
        """Go on from there. Raises RunRefusedError when the suite has other tasks now."""
        if state.standings.keys() != self._standings.keys():
            odd = sorted(state.standings.keys() ^ self._standings.keys())
            raise RunRefusedError(
                f"the suite has changed since the checkpoint: {', '.join(odd[:3])}; {_ANEW}"
            )
        state.chance.give(self._rng)
        self._standings = {key: state.standings[key] for key in self._entries}

    @property
    def solved(self) -> tuple[str, ...]:
        """Keys of the solved tasks, in the order of the suite."""
        return tuple(key for key, standing in self._standings.items() if standing.is_solved)

    @property
    def size(self) -> int:
        """How many tasks there are, solved or not."""
        return len(self._entries)

    @property
    def is_complete(self) -> bool:
        return len(self.solved) == len(self._entries)

    def mark_solved(self, key: str) -> bool:
        """True when it had not been solved before."""
        standing = self._standings[key]
        self._standings[key] = msgspec.structs.replace(standing, is_solved=True)
        return not standing.is_solved

    def pick(self) -> list[Task]:
        """One task per group of the next batch; a family gives another training instance each time.

        With few tasks left each of them gets several groups; solved ones never get more than their share.
        """
        count = self._settings.groups_per_batch
        solved = list(self.solved)
        rehearsed = min(len(solved), int(count * self._settings.rehearsal_share))
        keys = self._next_unsolved(count - rehearsed) or solved
        keys = (keys * count)[: count - rehearsed]
        return [self._draw(key) for key in keys + self._rng.sample(solved, rehearsed)]

    def siblings(self, task: Task) -> tuple[Task, ...]:
        """The next training instances of the family that ask for something else; none for a plain task.

        Fewer than `verify_instances` where a family has few values: the same values are drawn again.
        """
        entry, count = self._entries[task.key], self._settings.verify_instances
        if not entry.is_family:
            return ()
        found = {_asked(task): task}
        for step in range(1, TRIES_PER_SIBLING * count + 1):
            sibling = entry.instance("train", task.instance + step)
            found.setdefault(_asked(sibling), sibling)
            if len(found) > count:
                break
        return tuple(found.values())[1:]

    def _next_unsolved(self, count: int) -> list[str]:
        """Unsolved tasks by stretches of `patience_groups` spent on them, then by the suite's order."""
        unsolved = [key for key, standing in self._standings.items() if not standing.is_solved]
        unsolved.sort(key=lambda key: self._standings[key].groups // self._settings.patience_groups)
        return unsolved[:count]

    def _draw(self, key: str) -> Task:
        standing = self._standings[key]
        index = standing.groups % self._settings.train_instances
        self._standings[key] = msgspec.structs.replace(standing, groups=standing.groups + 1)
        return self._entries[key].instance("train", index)


def _asked(task: Task) -> tuple[str, tuple[Case, ...], str]:
    """What tells an instance from another one of its family."""
    return task.description, task.cases, task.reference
