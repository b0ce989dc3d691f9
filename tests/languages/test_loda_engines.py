"""Two engines, one language: what is compiled does what the plain interpreter does, and limits hold."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from altlas_agent.languages.loda import parse
from altlas_agent.languages.loda_machine import Evaluation, Limits, LodaError, Machine
from altlas_agent.languages.machine.compiler import compiled
from altlas_agent.languages.machine.flat import is_flat
from altlas_agent.languages.machine.memory import Cells
from altlas_agent.languages.machine.reference import interpret
from tests.languages.loda_rows import CODE, small_library

LIMITS = st.builds(
    Limits,
    max_steps=st.sampled_from([20, 300, 3_000, 3_000]),
    max_cells=st.sampled_from([64, 71, 1_000]),
    max_digits=st.sampled_from([20, 60, 200]),
    overflow_bits=st.sampled_from([None, 64, 100]),
)


def results(code: str, limits: Limits, *, terms: int = 6) -> tuple[Evaluation, Evaluation]:
    """What the compiled program gives, and what the plain interpreter says."""
    program = parse(code)
    fast = Machine(limits, small_library, engine="compiled").evaluate(program, terms)
    slow = Machine(limits, small_library, engine="reference").evaluate(program, terms)
    return fast, slow


@settings(max_examples=600, deadline=None)
@given(code=CODE, limits=LIMITS)
@example(code="mov $1,9\nlpb $1\n  sub $1,1\n  seq $2,3\nlpe\n", limits=Limits(max_steps=60))
@example(code="mov $$1,1000000000000000000000000\n", limits=Limits(max_digits=20))
def test_both_engines_agree_on_terms_steps_errors_and_limits(code: str, limits: Limits) -> None:
    fast, slow = results(code, limits)
    assert (fast.terms, fast.steps, fast.error, fast.limit) == (
        slow.terms,
        slow.steps,
        slow.error,
        slow.limit,
    )


@settings(max_examples=300, deadline=None)
@given(code=CODE, limits=LIMITS, argument=st.integers(-3, 30))
def test_no_program_gets_beyond_its_limits(code: str, limits: Limits, argument: int) -> None:
    program = parse(code)
    machine = Machine(limits, small_library)
    cells = Cells({0: argument})
    for engine in (compiled(program.operations), interpret(program.operations)):
        try:
            left = engine(cells, limits.max_steps, machine)
        except LodaError:
            continue
        assert 0 <= left <= limits.max_steps
        assert all(0 <= index < limits.max_cells for index in cells)
        assert all(abs(value) <= machine.bounds.high for value in cells.values())


@pytest.mark.parametrize("depth", [1, 15, 16, 17, 19, 21, 100])
def test_loops_of_any_allowed_depth_run(depth: int) -> None:
    code = "mov $1,2\n" + "lpb $1\n" * depth + "sub $1,1\nadd $2,1\n" + "lpe\n" * depth + "mov $0,$2\n"
    fast, slow = results(code, Limits(max_steps=100_000))
    assert fast == slow
    assert fast.error is None


def test_a_program_too_long_to_compile_is_interpreted() -> None:
    fast, slow = results("add $0,1\n" * 9_000, Limits())
    assert fast == slow
    assert fast.terms == tuple(range(9_000, 9_006))


def test_loops_that_write_very_many_cells_are_interpreted() -> None:
    body = "".join(f"fil ${64 * place},64\n" for place in range(300))
    fast, slow = results("lpb $0\n" * 10 + body + "sub $0,1\n" + "lpe\n" * 10, Limits(), terms=2)
    assert fast == slow


@pytest.mark.parametrize("name", ["fil", "rol", "ror", "clr"])
@pytest.mark.parametrize("length", [-70, -64, -2, -1, 0, 1, 2, 64, 65, 200])
def test_regions_of_every_size_change_the_same_cells(name: str, length: int) -> None:
    marks = "".join(f"mov ${cell},{cell + 1}\n" for cell in range(0, 80, 7))
    code = f"{marks}mov $1,$0\nadd $1,70\n{name} $70,{length}\n"
    total = "".join(f"mul $0,3\nadd $0,${cell}\n" for cell in range(64, 80))
    flat, sparse = results(code + total, Limits()), results(code + "mov $$1,0\n" + total, Limits())
    for fast, slow in (flat, sparse):
        assert fast == slow


@pytest.mark.parametrize(
    ("code", "flat"),
    [
        ("add $0,$1\n", True),
        ("add $0,$$1\n", False),
        ("prg $0,1\n", False),
        ("fil $1,64\n", True),
        ("fil $1,65\n", False),
        ("clr $1,$2\n", False),
        ("lpb $0,$1\nlpe\n", False),
    ],
)
def test_cells_are_variables_where_all_are_known(code: str, flat: bool) -> None:
    assert is_flat(parse(code).operations) is flat
