"""LODA programs through the sandbox: terms for arguments, one language among others."""

from __future__ import annotations

import pytest

from altlas_agent.core.records import Limits, Program, RunResult, Status
from altlas_agent.sandbox.engines.loda import Loda
from altlas_agent.sandbox.jail import unprivileged
from altlas_agent.sandbox.slots import Options, Slots

SQUARES = "mul $0,$0\n"
COUNTDOWN = "mov $1,10\npow $1,9\nlpb $1\n  sub $1,1\nlpe\n"


def run(code: str, *, stdin: str = "", calls: tuple[str, ...] = (), **limits: float) -> RunResult:
    program = Program(language="loda", code=code, stdin=stdin, calls=calls, entry="a" if calls else "")
    return Loda(unprivileged(0)).run(program, Limits(**limits))  # type: ignore[arg-type]  # numbers of both kinds


def test_without_arguments_the_first_ten_terms_are_written_from_the_offset_on() -> None:
    result = run(f"#offset 1\n{SQUARES}")
    assert (result.status, result.exit_code) == (Status.SUCCESS, 0)
    assert result.stdout == "".join(f"{n * n}\n" for n in range(1, 11)).encode()
    assert (result.rung, result.engine) == ("interpreted", "loda")


def test_standard_input_names_the_arguments() -> None:
    assert run(SQUARES, stdin="3 -12\n").stdout == b"9\n144\n"


def test_each_call_has_its_term() -> None:
    assert run(SQUARES, calls=("[4]", "[20000000000]")).returns == ("16", "400000000000000000000")


def test_a_call_without_a_term_leaves_the_others() -> None:
    result = run("mov $1,6\ndiv $1,$0\nmov $0,$1\n", calls=("[2]", "[0]", "[3]"))
    assert (result.status, result.returns) == (Status.ERROR, ("3", "", "2"))
    assert b"n = 0" in result.stderr


def test_what_is_no_program_does_not_compile() -> None:
    assert run("mov $0").status is Status.COMPILE_ERROR


@pytest.mark.parametrize("stdin", ["x", "1.5", "9" * 19])
def test_what_is_no_whole_number_is_refused(stdin: str) -> None:
    assert run(SQUARES, stdin=stdin).status is Status.REFUSED


def test_limits_hold() -> None:
    assert run(COUNTDOWN, cpu_s=0.3).status is Status.CPU_LIMIT
    assert run(COUNTDOWN, wall_s=0.5, cpu_s=9.0).status is Status.TIMEOUT
    assert run("mov $0,10\npow $0,2000\n", output_kb=1).status is Status.OUTPUT_LIMIT


def test_slots_run_it_like_any_language() -> None:
    with Slots(Options()) as slots:
        assert slots.start("loda") == "interpreted"
        assert slots.run(Program(language="loda", code=SQUARES, stdin="7"), Limits()).stdout == b"49\n"
