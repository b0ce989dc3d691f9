"""An easier task is one of the same family, says that it is easier, and asks for less."""

from __future__ import annotations

import msgspec
import pytest

from altlas_agent.core.records import Case, Constraints, Task
from altlas_agent.tasks.loader import load_suite
from altlas_agent.tasks.simplify import Way, simplified
from tests.builders import make_task

TASK = msgspec.structs.replace(
    make_task(instance=3),
    cases=(
        Case(args="[1, 2, 3]", expected="6"),
        Case(args="[1]", expected="1"),
        Case(args="[1, 2]", expected="3", hidden=True),
        Case(args="[]", expected="0", hidden=True),
        Case(args="[1, 2, 3, 4]", expected="10", hidden=True),
    ),
    constraints=Constraints(require_operators=("+", "*"), forbid_numbers=(7,), max_tokens=20),
    tokens="OUTPUT ADD NUM_0 NUM_1 END",
)


def test_tests_become_fewer_and_smaller_of_both_kinds() -> None:
    easier = simplified(TASK, Way.TESTS)
    assert [(case.args, case.hidden) for case in easier.cases] == [
        ("[1]", False),
        ("[1, 2]", True),
        ("[]", True),
    ]


def test_one_constraint_is_dropped_at_a_time_what_is_forbidden_first() -> None:
    first = simplified(TASK, Way.CONSTRAINTS)
    second = simplified(first, Way.CONSTRAINTS)
    assert (first.constraints.forbid_numbers, first.constraints.require_operators) == ((), ("+", "*"))
    assert second.constraints.require_operators == ("+",)
    assert second.id == f"{TASK.id}~constraints~constraints"


def test_room_is_taken_away_but_never_what_the_reference_needs() -> None:
    sizes = [TASK.constraints.max_tokens]
    task = TASK
    for _ in range(6):
        task = simplified(task, Way.LENGTH)
        sizes.append(task.constraints.max_tokens)
    assert sizes == [20, 12, 8, 6, 5, 5, 5]


def test_what_cannot_be_made_easier_stays_the_very_same_task() -> None:
    bare = msgspec.structs.replace(TASK, cases=TASK.cases[:1], constraints=Constraints(), tokens="")
    for way in Way:
        assert simplified(bare, way) is bare
        assert not simplified(bare, way).is_simplified


@pytest.mark.parametrize("instance", [-1, 3])
def test_an_easier_task_says_so_and_keeps_its_key(instance: int) -> None:
    task: Task = msgspec.structs.replace(TASK, id=make_task(instance=instance).id, instance=instance)
    easier = simplified(task, Way.TESTS)
    assert easier.is_simplified
    assert easier.public().is_simplified
    assert easier.key == task.key
    assert easier.id.partition("#")[0] == task.key
    assert easier.id != task.id


def test_no_shipped_task_passes_for_an_easier_one() -> None:
    for name in ("quickstart", "ladder"):
        for entry in load_suite(name).entries:
            assert not entry.instance("train", 0).is_simplified
            assert not entry.instance("unseen", 1).is_simplified
