"""Search: programs by size, one for each behaviour, and the visible tests only."""

from __future__ import annotations

import random
from itertools import islice

import msgspec
import pytest

from altlas_agent.core.records import Case, Constraints, GroupPlan, Kind, Task
from altlas_agent.generation.priors import drawn_from_grammar
from altlas_agent.generation.search.bank import Bank, Point
from altlas_agent.generation.search.enumerate import Enumerator
from altlas_agent.generation.search.mutate import Mutator, parts
from altlas_agent.generation.search.search import Search
from altlas_agent.generation.search.worlds import worlds
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.grammar import check, grammar_of, shape_of
from altlas_agent.languages.tokens.machine import Inputs
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.tasks.loader import load_suite
from tests.languages.programs import task_of

LADDER = load_suite("ladder")


def public(name: str, index: int = 0) -> Task:
    return LADDER.entry(name).instance("train", index).public()


def examples(name: str) -> list[Task]:
    return [public(name, index) for index in (1, 2, 3)] if LADDER.entry(name).is_family else []


def first(task: Task, others: list[Task], *, steps: int = 500) -> list[str]:
    """The candidates of so many steps, as source text."""
    found = islice(Enumerator(task, others, 0, capacity=4_000).candidates(), steps)
    return [render(task, tokens) for tokens in found if tokens]


def bank(task: Task, points: list[Point], *, capacity: int = 1_000) -> Bank:
    return Bank(grammar_of(shape_of(task)), (), points, tells={}, capacity=capacity)


def grown(made: Bank, sort: str, size: int) -> list[str]:
    for each in range(1, size + 1):
        for _ in made.grow(sort, each):
            pass
    return [" ".join(vocabulary().names(piece.tokens)) for piece in made.of(sort, size)]


def test_of_expressions_that_behave_alike_the_first_one_stands_for_all() -> None:
    made = bank(task_of(params=("num",)), [Point(Inputs((3,))), Point(Inputs((-7,)))])
    found = [text for size in (1, 2, 3) for text in grown(made, "num", size)]
    assert "ADD ARG_0 INT_1" in found
    assert not {"ADD ARG_0 INT_0", "MUL ARG_0 INT_1", "SUB ARG_0 ARG_0"} & set(found)


def test_no_more_pieces_of_a_size_are_kept_than_there_is_room_for() -> None:
    made = bank(task_of(params=("num",)), [Point(Inputs((3,))), Point(Inputs((-7,)))], capacity=5)
    assert len(grown(made, "num", 3)) == 5


def test_what_two_ask_for_in_turn_is_whole_for_both() -> None:
    points = [Point(Inputs((3, 5, 8))), Point(Inputs((-7, 2, 11)))]
    task = task_of(params=("num", "num", "num"))
    alone, shared = bank(task, points), bank(task, points)
    whole = grown(alone, "num", 3)
    one, other = shared.grow("num", 3), shared.grow("num", 3)
    next(one)
    for _ in other:
        pass
    assert [" ".join(vocabulary().names(piece.tokens)) for piece in shared.of("num", 3)] == whole


@pytest.mark.parametrize(
    ("name", "solution"),
    [
        ("add-constant", "return n + "),
        ("spread", "return max(xs) - min(xs)"),
        ("squares", "return [v0 * v0 for v0 in xs]"),
        ("keep-greater", "for v0 in xs if"),
        ("factorial", "v0 = v0 * v1"),
        ("count-long-words", "for v1 in words"),
    ],
)
def test_programs_that_sampling_does_not_reach_are_found(name: str, solution: str) -> None:
    assert any(solution in code for code in first(public(name), examples(name)))


def test_every_candidate_keeps_grammar_and_constraints_and_passes_the_visible_tests() -> None:
    task = public("larger")
    found = [tokens for tokens in islice(Enumerator(task, (), 0, capacity=500).candidates(), 900) if tokens]
    assert found
    for tokens in found:
        check(task, tokens)
        assert "if" in render(task, tokens)


def test_a_constant_that_equals_a_literal_of_the_description_is_told_from_it() -> None:
    task = msgspec.structs.replace(public("add-constant"), numbers=(1,))
    shown = (Case(args="[4]", expected="5"), Case(args="[0]", expected="1"))
    found = first(msgspec.structs.replace(task, cases=shown), [], steps=200)
    assert {"return n + 1\n", "return 1 + n\n"} & {code.split("    ")[-1] for code in found}
    slots = [
        tokens
        for tokens in islice(
            Enumerator(msgspec.structs.replace(task, cases=shown), (), 0, capacity=500).candidates(), 200
        )
        if tokens
    ]
    assert any(vocabulary().number["NUM_0"] in tokens for tokens in slots)


def test_hidden_tests_are_never_looked_at() -> None:
    task = LADDER.entry("spread").instance()
    secret = tuple(msgspec.structs.replace(case, hidden=True) for case in task.cases)
    known = [
        world
        for world in worlds((msgspec.structs.replace(task, cases=secret),), random.Random(0))
        if world.is_known
    ]
    assert known == []


def test_the_same_seed_finds_the_same_in_the_same_order() -> None:
    assert first(public("grade"), examples("grade")) == first(public("grade"), examples("grade"))


def test_a_search_goes_on_from_its_state_as_if_it_had_never_stopped() -> None:
    plan = GroupPlan(
        group=0, task=public("spread"), size=4, first_number=1, examples=tuple(examples("spread"))
    )
    whole, begun = (Search(0, capacity=500, ticks=10) for _ in range(2))
    expected = [whole.propose(plan, 4) for _ in range(30)]
    before = [begun.propose(plan, 4) for _ in range(15)]
    again = Search(0, capacity=500, ticks=10)
    again.restore(begun.state())
    assert before + [again.propose(plan, 4) for _ in range(15)] == expected
    assert any(expected)


def test_nothing_is_sought_any_more_for_a_task_that_is_solved() -> None:
    plan = GroupPlan(group=0, task=public("line"), size=4, first_number=1)
    search = Search(0, capacity=500, ticks=10)
    search.propose(plan, 4)
    search.forget(plan.task.key)
    assert search.state() == ()


@pytest.mark.parametrize("kind", list(Kind))
def test_a_child_of_a_near_miss_is_a_program_of_the_grammar_and_like_its_parent(kind: Kind) -> None:
    rng = random.Random(3)
    task = task_of(
        kind=kind,
        params=("num", "list") if kind is Kind.FUNCTION else (),
        numbers=(4, 9),
        constraints=Constraints(max_tokens=20),
    )
    mutator = Mutator(task, drawn_from_grammar, rng)
    texts = {
        Kind.FUNCTION: "FUNC_DEF FUNC_0 BLOCK_START RETURN ADD SUM ARG_1 MUL ARG_0 NUM_1 BLOCK_END END",
        Kind.STDOUT: "FOR_RANGE VAR_0 INT_1 NUM_0 BLOCK_START OUTPUT MUL VAR_0 NUM_1 BLOCK_END END",
    }
    parent = vocabulary().numbers(texts[kind])
    children = [mutator.child([parent]) for _ in range(200)]
    for child in children:
        check(task, child)
    assert len(set(children)) > 20
    shared = [sum(a == b for a, b in zip(parent, child, strict=False)) for child in children]
    assert sum(shared) / len(shared) > 4


def test_every_part_but_the_frame_can_be_written_anew() -> None:
    names = "FUNC_DEF FUNC_0 BLOCK_START IF LT ARG_0 INT_1 BLOCK_START RETURN INT_0 BLOCK_END RETURN ARG_0 BLOCK_END END"
    found = sorted(part.token for part in parts(vocabulary().numbers(names)))
    assert found == ["ARG_0", "ARG_0", "IF", "INT_0", "INT_1", "LT", "RETURN", "RETURN"]
