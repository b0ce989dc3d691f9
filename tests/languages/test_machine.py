"""The machine of abstract programs: it says what the languages say, and nothing runs away with it."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.records import Kind, Limits, Program, Status
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.grammar import Derivation, grammar_of, shape_of
from altlas_agent.languages.tokens.machine import Inputs, Machine, inputs_of
from altlas_agent.languages.tokens.values import UNDEFINED, from_json
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.sandbox.slots import Options, Slots
from altlas_agent.tasks.loader import load_suite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.core.records import Task
    from altlas_agent.tasks.loader import Entry

ENTRIES = [entry for suite in ("quickstart", "ladder") for entry in load_suite(suite).entries]


def machine(text: str) -> Machine:
    return Machine(tuple(text.split()))


def function(body: str) -> Machine:
    return machine(f"FUNC_DEF FUNC_0 BLOCK_START {body} BLOCK_END END")


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.key)
def test_the_solution_of_a_task_gives_what_its_tests_want(entry: Entry) -> None:
    task = entry.instance()
    for case in task.cases:
        if not case.expected:
            continue
        solution, inputs = machine(task.tokens), inputs_of(task, case)
        if task.kind is Kind.FUNCTION:
            assert solution.returned(inputs) == from_json(case.expected)
        else:
            assert solution.printed(inputs).strip() == str(from_json(case.expected)).strip()


@pytest.fixture(scope="module")
def slots() -> Iterator[Slots]:
    with Slots(Options()) as started:
        for name in ("python", "javascript"):
            started.start(name)
        yield started


@pytest.mark.parametrize(("language", "count"), [("python", 300), ("javascript", 60)])
def test_where_the_machine_gives_an_answer_the_language_gives_the_same(
    slots: Slots, language: str, count: int
) -> None:
    rng, compared = random.Random(language), 0
    for _ in range(count):
        task = msgspec.structs.replace(rng.choice(ENTRIES).instance(), target_language=language)
        tokens, case = written(task, rng), rng.choice(task.cases)
        code, program = render(task, tokens), Machine(vocabulary().names(tokens))
        try:
            if task.kind is Kind.FUNCTION:
                shown = program.returned(inputs_of(task, case))
            else:
                shown = program.printed(inputs_of(task, case))
        except UNDEFINED:
            continue
        entry = task.signature.name if task.signature else ""
        calls = (case.args,) if entry else ()
        ran = slots.run(Program(language=language, code=code, entry=entry, calls=calls), Limits())
        assert ran.status is Status.SUCCESS, code
        if task.kind is Kind.FUNCTION:
            if shown is not None:  # undefined is no JSON
                assert from_json(ran.returns[0]) == shown, code
        elif language == "python":
            assert ran.stdout.decode() == shown, code
        compared += 1
    assert compared > count // 2


def written(task: Task, rng: random.Random) -> tuple[int, ...]:
    derivation, tokens = Derivation(grammar_of(shape_of(task))), list[int]()
    while not derivation.done:
        tokens.append(rng.choice(sorted(derivation.options())))
        derivation.advance(tokens[-1])
    return tuple(tokens)


@pytest.mark.parametrize(
    "text",
    [
        "RETURN INT_DIV INT_1 INT_0",
        "RETURN ITEM_AT ARG_0 INT_10",
        "RETURN LARGEST EMPTY_LIST",
        "RETURN LEN_LIST RANGE INT_0 MUL MUL INT_10 INT_10 MUL INT_10 INT_10",
        "ASSIGN VAR_0 INT_2 FOR_RANGE VAR_1 INT_1 MUL INT_10 INT_10 BLOCK_START UPDATE VAR_0 MUL VAR_0 VAR_0 BLOCK_END RETURN VAR_0",
        "ASSIGN VAR_0 INT_0 FOR_EACH VAR_1 RANGE INT_1 MUL INT_10 MUL INT_10 INT_10 BLOCK_START FOR_EACH VAR_2 RANGE INT_1 MUL INT_10 INT_10 BLOCK_START UPDATE VAR_0 VAR_2 BLOCK_END BLOCK_END RETURN VAR_0",
        "RETURN LEN_STR REPEAT STR_0 MUL MUL INT_10 INT_10 MUL INT_10 INT_10",
        "RETURN LEN_STR REPEAT STR_0 SUB INT_0 INT_1",
    ],
)
def test_a_program_without_a_value_is_undefined_and_never_runs_away(text: str) -> None:
    with pytest.raises(UNDEFINED):
        function(text).returned(Inputs(((1, 2),), (), ("ab",)))


def test_what_a_branch_that_is_not_taken_would_do_does_not_matter() -> None:
    program = function("RETURN PICK_NUM LT ARG_0 INT_1 INT_2 INT_DIV INT_1 ARG_0")
    assert program.returned(Inputs((0,))) == 2
    assert program.returned(Inputs((1,))) == 1


def test_holes_of_a_template_are_filled_when_it_runs() -> None:
    program = machine("FUNC_DEF FUNC_0 BLOCK_START RETURN ADD HOLE_0 HOLE_1 BLOCK_END END")
    assert program.returned(Inputs((5,)), [lambda frame: 3, lambda frame: 4]) == 7
