"""Which task next: easy ones first, a stretch of groups each, solved ones now and then."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from altlas_agent.core.clock import derive_seed

if TYPE_CHECKING:
    from altlas_agent.core.records import Case, Task
    from altlas_agent.settings.tasks import TaskSettings
    from altlas_agent.tasks.loader import Suite


TRIES_PER_SIBLING = 8


@dataclass(slots=True)
class Standing:
    """How one task of the suite stands in this run."""

    groups: int = 0
    is_solved: bool = False


class Curriculum:
    """Picks the tasks of each batch, in an order that depends on `seed` and on what was solved only."""

    def __init__(self, suite: Suite, settings: TaskSettings, seed: int) -> None:
        self._entries = {entry.key: entry for entry in suite.entries}
        self._settings = settings
        self._rng = random.Random(derive_seed(seed, "curriculum"))
        self._standings = {key: Standing() for key in self._entries}

    @property
    def solved(self) -> tuple[str, ...]:
        """Keys of the solved tasks, in the order of the suite."""
        return tuple(key for key, standing in self._standings.items() if standing.is_solved)

    @property
    def is_complete(self) -> bool:
        return len(self.solved) == len(self._entries)

    def mark_solved(self, key: str) -> bool:
        """True when it had not been solved before."""
        is_new = not self._standings[key].is_solved
        self._standings[key].is_solved = True
        return is_new

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
        standing.groups += 1
        return self._entries[key].instance("train", index)


def _asked(task: Task) -> tuple[str, tuple[Case, ...], str]:
    """What tells an instance from another one of its family."""
    return task.description, task.cases, task.reference
