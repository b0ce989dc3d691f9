"""Solved programs worth seeing again, a few short ones per task."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from altlas_agent.core.records import Sample
from altlas_agent.core.states import ReplayState

if TYPE_CHECKING:
    import random

    from altlas_agent.core.records import Judged, Task

PER_TASK = 4


class Replay:
    """Keeps the shortest distinct solutions of each task, the tasks solved last when it is full."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._solutions: OrderedDict[str, dict[tuple[int, ...], Sample]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._solutions.values()))

    def add(self, task: Task, judged: Judged) -> None:
        """Remember a solved attempt, unless it is no program that the grammar of its task holds."""
        tokens = judged.attempt.tokens
        if not 0 < len(tokens) <= task.constraints.max_tokens:
            return
        kept = self._solutions.setdefault(task.key, {})
        kept[tokens] = Sample(task=task, tokens=tokens, logps=(), ce=(1.0,) * len(tokens))
        if len(kept) > PER_TASK:
            del kept[max(kept, key=lambda program: (len(program), program))]
        self._solutions.move_to_end(task.key)
        while len(self) > self._capacity:
            self._solutions.popitem(last=False)

    def state(self) -> ReplayState:
        """To go on from later."""
        return ReplayState(
            solutions=tuple((key, tuple(kept.values())) for key, kept in self._solutions.items())
        )

    def restore(self, state: ReplayState) -> None:
        """Go on from there."""
        self._solutions = OrderedDict(
            (key, {sample.tokens: sample for sample in samples}) for key, samples in state.solutions
        )

    def draw(self, count: int, rng: random.Random) -> list[Sample]:
        """Up to `count` samples, the tasks in turn, so that none is drowned by an easier one."""
        keys = list(self._solutions)
        rng.shuffle(keys)
        chosen = (keys * (count // max(len(keys), 1) + 1))[:count] if keys else []
        return [rng.choice(list(self._solutions[key].values())) for key in chosen]
