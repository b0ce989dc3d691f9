"""The search arm: one enumerator per task that is not solved, worked on a little for each group."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.states import Sought
from altlas_agent.generation.search.enumerate import Enumerator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.core.records import GroupPlan
    from altlas_agent.generation.search.value import Value


class Search:
    """Goes on with a task where it stopped. An enumeration depends on what it began with and nothing else,
    so all there is to remember of it is that, and how many steps were taken.
    """

    def __init__(self, seed: int, *, capacity: int, ticks: int, value: Value | None = None) -> None:
        """`ticks` is the work that one attempt may cost; `capacity` is that of the banks.

        With `value` a search goes by what that had learned when it began.
        """
        self._value = value
        self._seed = seed
        self._capacity = capacity
        self._ticks = ticks
        self._sought: dict[str, Sought] = {}
        self._steps: dict[str, Iterator[tuple[int, ...] | None]] = {}

    def propose(self, plan: GroupPlan, count: int) -> list[tuple[int, ...]]:
        """Up to `count` programs for the task of a group; fewer when its work or all programs are done."""
        key, found = plan.task.key, list[tuple[int, ...]]()
        sought = self._sought.get(key) or self._begun(plan)
        taken = 0
        for step in islice(self._going(key, sought), count * self._ticks):
            taken += 1
            if step is not None:
                found.append(step)
                if len(found) == count:
                    break
        self._sought[key] = msgspec.structs.replace(sought, steps=sought.steps + taken)
        return found

    def forget(self, key: str) -> None:
        """The task is solved: nothing is sought for it any more."""
        self._sought.pop(key, None)
        self._steps.pop(key, None)

    def state(self) -> tuple[Sought, ...]:
        """To go on from later."""
        return tuple(self._sought.values())

    def restore(self, state: tuple[Sought, ...]) -> None:
        """Go on from there: what was done for a task is done again when its turn comes."""
        self._sought = {sought.task.key: sought for sought in state}
        self._steps.clear()

    def _begun(self, plan: GroupPlan) -> Sought:
        weights = self._value.frozen(plan.task) if self._value is not None else ()
        return Sought(task=plan.task, examples=plan.examples, value=weights)

    def _going(self, key: str, sought: Sought) -> Iterator[tuple[int, ...] | None]:
        steps = self._steps.get(key)
        if steps is None:
            fresh = Enumerator(
                sought.task, sought.examples, self._seed, capacity=self._capacity, value=sought.value
            )
            steps = self._steps[key] = fresh.candidates()
            for _ in islice(steps, sought.steps):
                pass
        return steps
