"""A task made easier: fewer and smaller tests, a constraint less, or less room for a program.

Whoever is stuck at a task may be given an easier one of the same family for a while. It says so in its id, and
to solve it never counts as solving the task: the worker that judges an attempt at it says so.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from altlas_agent.core.records import Case, Constraints, Task


class Way(enum.StrEnum):
    """How a task is made easier.

    tests        the half of its tests with the smallest inputs, visible and hidden ones alike
    constraints  what a program must or must not contain, without the last of it
    length       half of the room between its reference and the limit of tokens is taken away: less to search through
    """

    TESTS = "tests"
    CONSTRAINTS = "constraints"
    LENGTH = "length"


_ASKED = (
    "require_constructs", "require_operators", "require_numbers", "require_strings",
    "forbid_constructs", "forbid_operators", "forbid_numbers", "forbid_strings",
)  # fmt: skip


def simplified(task: Task, way: Way) -> Task:
    """The task made easier in one way; the very same task where that way makes nothing easier.

    `task` is whole: with its hidden tests and the tokens of its reference. It may have been made easier before.
    """
    easier = _WAYS[way](task)
    if easier == task:
        return task
    mark = "" if "#" in task.id else "#"
    return msgspec.structs.replace(easier, id=f"{task.id}{mark}~{way}")


def _fewer_tests(task: Task) -> Task:
    kept = {id(case) for hidden in (False, True) for case in _smaller_half(task.cases, hidden=hidden)}
    return msgspec.structs.replace(task, cases=tuple(case for case in task.cases if id(case) in kept))


def _smaller_half(cases: Sequence[Case], *, hidden: bool) -> list[Case]:
    own = sorted((case for case in cases if case.hidden is hidden), key=_size)
    return own[: (len(own) + 1) // 2]


def _size(case: Case) -> int:
    return len(case.args) + len(case.stdin)


def _fewer_constraints(task: Task) -> Task:
    constraints = task.constraints
    for name in reversed(_ASKED):
        values: tuple[object, ...] = getattr(constraints, name)
        if values:
            return _constrained(task, msgspec.structs.replace(constraints, **{name: values[:-1]}))
    return task


def _shorter(task: Task) -> Task:
    """What is needed is what the reference has; without its tokens nothing is known of that."""
    needed, most = len(task.tokens.split()), task.constraints.max_tokens
    if not 0 < needed < most:
        return task
    return _constrained(task, msgspec.structs.replace(task.constraints, max_tokens=(needed + most) // 2))


def _constrained(task: Task, constraints: Constraints) -> Task:
    return msgspec.structs.replace(task, constraints=constraints)


_WAYS: dict[Way, Callable[[Task], Task]] = {
    Way.TESTS: _fewer_tests,
    Way.CONSTRAINTS: _fewer_constraints,
    Way.LENGTH: _shorter,
}
