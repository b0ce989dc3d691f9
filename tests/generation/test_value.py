"""What search learns from solved tasks decides what it looks at first, the same way in every life."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.records import Arm, Attempt, Group, GroupPlan, Judged, Outcome, Score, Status
from altlas_agent.core.states import Sought
from altlas_agent.generation.search.bank import NOWHERE, Bank, Piece, Point
from altlas_agent.generation.search.enumerate import Enumerator
from altlas_agent.generation.search.search import Search
from altlas_agent.generation.search.value import RELATIONS, TaskValue, Value, relations
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.grammar import grammar_of, shape_of
from altlas_agent.languages.tokens.machine import Inputs
from altlas_agent.languages.tokens.vocabulary import vocabulary
from tests.generation.test_search import examples, grown, public
from tests.languages.programs import task_of

if TYPE_CHECKING:
    from altlas_agent.core.records import Task

SPREAD = "FUNC_DEF FUNC_0 BLOCK_START RETURN SUB LARGEST ARG_0 SMALLEST ARG_0 BLOCK_END END"
WRONG = "FUNC_DEF FUNC_0 BLOCK_START RETURN ADD SUM ARG_0 LEN_LIST ARG_0 BLOCK_END END"


def judged(number: int, text: str, *, solved: bool) -> Judged:
    tokens = vocabulary().numbers(text)
    return Judged(
        attempt=Attempt(
            number=number,
            group=0,
            task_id="t",
            code="",
            tokens=tokens,
            logps=(0.0,) * len(tokens),
            policy_version=0,
            arm=Arm.POLICY,
        ),
        outcome=Outcome(status=Status.SUCCESS),
        score=Score(value=float(solved), parts={}, solved=solved),
    )


def group_of(task: Task, *texts: tuple[str, bool]) -> Group:
    made = tuple(judged(place + 1, text, solved=solved) for place, (text, solved) in enumerate(texts))
    plan = GroupPlan(group=0, task=task, size=len(made), first_number=1, examples=tuple(examples("spread")))
    return Group(plan=plan, judged=made)


def taught(times: int = 20) -> Value:
    value = Value()
    for _ in range(times):
        value.learn(group_of(public("spread"), (SPREAD, True), (WRONG, False)))
    return value


def steps_until(task: Task, code: str, weights: tuple[float, ...]) -> int:
    found = Enumerator(task, examples("spread"), 0, capacity=4_000, value=weights).candidates()
    for step, tokens in enumerate(islice(found, 2_000)):
        if tokens and code in render(task, tokens):
            return step
    pytest.fail(f"{code} was not found")


def test_values_are_compared_with_what_is_wanted_point_by_point() -> None:
    same = relations((3, "ab", (1, 2)), (3, "ab", (1, 2)))
    assert same == (1.0, 1.0, 1.0 / 3, 1.0 / 3, 2.0 / 3, 0.0, 1.0)
    assert relations((True,), (1,))[:2] == (0.0, 0.0), "a truth value is no number"
    assert relations((NOWHERE, 5), (7, NOWHERE)) == (0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    assert relations((10**400,), (1,))[3] == 0.0
    assert relations((), (1, 2)) == (0.0,) * RELATIONS


def test_expressions_of_a_solution_become_worth_more_than_those_of_failures() -> None:
    task = public("spread")
    worth = TaskValue(taught().frozen(task), ())
    good, bad = (Piece(vocabulary().numbers(text), ()) for text in ("LARGEST ARG_0", "SUM ARG_0"))
    assert worth(good) > worth(bad)


def test_what_was_learned_of_a_task_is_found_sooner_there() -> None:
    task = public("spread")
    code = "return max(xs) - min(xs)"
    assert steps_until(task, code, taught().frozen(task)) < steps_until(task, code, ())


def test_a_bank_is_in_the_order_of_its_value_and_as_found_without_one() -> None:
    task = task_of(params=("num",))
    points = [Point(Inputs((3,))), Point(Inputs((-7,)))]
    number = vocabulary().number["MUL"]

    def made(*, is_valued: bool) -> list[str]:
        worth = (lambda piece: float(number in piece.tokens)) if is_valued else None
        bank = Bank(grammar_of(shape_of(task)), (), points, tells={}, capacity=1_000, value=worth)
        return grown(bank, "num", 3)

    assert sorted(made(is_valued=True)) == sorted(made(is_valued=False))
    first = made(is_valued=True)[: sum("MUL" in text for text in made(is_valued=False))]
    assert all("MUL" in text for text in first)


def test_a_group_without_both_a_solution_and_a_failure_teaches_nothing() -> None:
    value = Value()
    value.learn(group_of(public("spread"), (SPREAD, True)))
    value.learn(group_of(public("spread"), (WRONG, False)))
    value.learn(group_of(public("spread"), (SPREAD, True), ("RETURN", False)))
    assert value.state.groups == 1
    assert Value().frozen(public("spread")) == (0.0,) * (len(vocabulary()) + RELATIONS)


def test_a_search_goes_by_what_was_known_when_it_began_also_after_a_restart() -> None:
    plan = GroupPlan(
        group=0, task=public("spread"), size=4, first_number=1, examples=tuple(examples("spread"))
    )
    value, begun = taught(3), Search(0, capacity=500, ticks=10, value=taught(3))
    whole = Search(0, capacity=500, ticks=10, value=value)
    expected = [whole.propose(plan, 4) for _ in range(20)]
    before = [begun.propose(plan, 4) for _ in range(10)]
    state = msgspec.msgpack.decode(msgspec.msgpack.encode(begun.state()), type=tuple[Sought, ...])
    again = Search(0, capacity=500, ticks=10, value=taught(9))  # it has learned more meanwhile
    again.restore(state)
    assert before + [again.propose(plan, 4) for _ in range(10)] == expected
