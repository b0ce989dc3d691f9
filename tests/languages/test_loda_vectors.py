"""Parity with loda-cpp: operations, edge programs, random programs and programs of the public collection."""

from __future__ import annotations

import re
from typing import Literal

import pytest

from altlas_agent.languages.loda import LodaSyntaxError, Program, parse, print_program
from altlas_agent.languages.loda_machine import CPP_BITS, Evaluation, Limits, Machine, decimal
from altlas_agent.languages.machine.arithmetic import calculate
from altlas_agent.languages.machine.faults import Bounds
from tests.languages.loda_rows import Row, Vector, library, rows, vectors

CPP = Limits(overflow_bits=CPP_BITS, max_steps=1_000_000)
EXACT = Limits()
ENGINES: tuple[Literal["compiled", "reference"], ...] = ("compiled", "reference")
ROWS = [*rows("edge_programs"), *rows("random_programs"), *rows("programs")]
ONLY_WITH_ENDING_NUMBERS = {"overflow_inf", "overflow_unused"}


def _vectors(op: str) -> list[Vector]:
    return [
        row for name in ("op_vectors_official", "op_vectors_generated") for row in vectors(name).get(op, ())
    ]


@pytest.mark.parametrize("op", sorted(vectors("op_vectors_official")))
def test_an_operation_is_that_of_loda_cpp(op: str) -> None:
    bounds = Bounds(CPP)
    assert [
        row for row in _vectors(op) if _told(calculate(op, row.a, row.b, bounds), bounds) != row.result
    ] == []


@pytest.mark.parametrize("op", sorted(vectors("op_vectors_official")))
def test_numbers_that_do_not_end_change_only_what_had_been_too_large(op: str) -> None:
    bounds = Bounds(EXACT)
    for row in _vectors(op):
        value = calculate(op, row.a, row.b, bounds)
        assert _told(value, bounds) == row.result or (row.size_limit and value is not None)


@pytest.mark.parametrize("op", sorted(vectors("op_vectors_official")))
def test_an_operation_is_the_same_in_a_program_whatever_its_operands(op: str) -> None:
    for row in _vectors(op)[::3]:
        given = f"mov $1,{row.a}\nmov $2,{row.b}\nmov $3,1\n"
        for line in (f"{op} $1,$2", f"{op} $1,{row.b}", f"{op} $$3,$2"):
            for engine in ENGINES:
                found = Machine(CPP, engine=engine).evaluate(parse(f"{given}{line}\nmov $0,$1\n"), 1)
                assert ("inf" if found.error else decimal(found.terms[0])) == row.result, (line, row, engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_program_gives_the_terms_steps_and_error_of_loda_cpp(
    row: Row, engine: Literal["compiled", "reference"]
) -> None:
    found = _run(row, CPP, engine)
    assert [decimal(term) for term in found.terms] == row.terms
    assert found.error == row.error
    if row.steps and not re.search(r"seq \S+,45\b", row.asm):  # theirs was another A000045
        pairs = zip(found.steps, row.steps, strict=False)
        assert [pair for pair in pairs if pair[1] is not None and pair[0] != pair[1]] == []


@pytest.mark.parametrize("row", [row for row in ROWS if row.error == "overflow"], ids=lambda row: row.name)
def test_overflow_is_mostly_a_matter_of_undefined_results(row: Row) -> None:
    expected = None if row.name in ONLY_WITH_ENDING_NUMBERS else "overflow"
    assert _run(row, EXACT, "compiled").error == expected


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_printing_and_parsing_give_the_program_back(row: Row) -> None:
    program = _parsed(row)
    if program is not None:
        text = print_program(program, comments=True)
        assert parse(text) == program
        assert print_program(parse(text), comments=True) == text


def _run(row: Row, limits: Limits, engine: Literal["compiled", "reference"]) -> Evaluation:
    try:
        program = parse(row.asm)
    except LodaSyntaxError as error:
        return Evaluation(terms=(), steps=(), error=error.kind)
    return Machine(limits, library, engine=engine).evaluate(program, row.num_terms)


def _parsed(row: Row) -> Program | None:
    try:
        return parse(row.asm)
    except LodaSyntaxError:
        return None


def _told(value: int | None, bounds: Bounds) -> str:
    return "inf" if value is None or abs(value) > bounds.high else decimal(value)
