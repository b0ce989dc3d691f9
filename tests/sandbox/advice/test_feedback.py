"""What a failed run says: the fault, its message and its place."""

from __future__ import annotations

from time import process_time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.records import (
    CaseResult,
    Fault,
    Limits,
    Outcome,
    Program,
    RunResult,
    Status,
    ToolFeedback,
)
from altlas_agent.core.text import safe
from altlas_agent.sandbox.advice.feedback import MAX_MESSAGE_CHARS, SEVERITIES, of_outcome, of_run
from altlas_agent.sandbox.slots import Options, Slots

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def slots() -> Iterator[Slots]:
    with Slots(Options(result_cache=0)) as started:
        yield started


def _feedback(slots: Slots, language: str, code: str, call: str = "") -> ToolFeedback:
    program = Program(language=language, code=code, entry="f" if call else "", calls=(call,) if call else ())
    return of_run(program, slots.run(program, Limits(cpu_s=3.0, wall_s=5.0)))


PYTHON = [
    ("def f(x):\n    return [1][x]\n", "[5]", (Fault.INDEX, 2, 0, "f"), "IndexError: list index out of range"),
    ("def f(x:\n    return\n", "", (Fault.SYNTAX, 1, 6, ""), "SyntaxError: '(' was never closed"),
    ("if 1:\n    x = = 2\n", "", (Fault.SYNTAX, 2, 9, ""), "SyntaxError: invalid syntax"),
    ("def f(x):\nreturn 1\n", "", (Fault.SYNTAX, 2, 1, ""), "IndentationError: expected an indented block"),
    ("import foo_bar\n", "", (Fault.IMPORT, 1, 0, ""), "ModuleNotFoundError: No module named 'foo_bar'"),
    ("def f(x):\n    return f(x)\n", "[1]", (Fault.RECURSION, 2, 0, "f"), "RecursionError: maximum"),
    ("try:\n  1/0\nexcept ArithmeticError:\n  [][1]\n", "", (Fault.INDEX, 4, 0, ""), "IndexError"),
    ("x = 1\nx / 0\n", "", (Fault.ZERO_DIVISION, 2, 0, ""), "ZeroDivisionError: division by zero"),
    ("assert False, 'two\\nlines'\n", "", (Fault.ASSERTION, 1, 0, ""), "AssertionError: two"),
    ("import json\njson.loads('{')\n", "", (Fault.VALUE, 2, 0, ""), "JSONDecodeError: Expecting"),
    ("def f(x):\n    return y\n", "[1]", (Fault.NAME, 2, 0, "f"), "NameError: name 'y' is not defined"),
    ("x = 1\n", "[1]", (Fault.NAME, 0, 0, ""), "NameError: the program defines no function 'f'"),
    ("'a' + 1\n", "", (Fault.TYPE, 1, 0, ""), 'TypeError: can only concatenate str (not "int") to str'),
    ("{}['k']\n", "", (Fault.KEY, 1, 0, ""), "KeyError: 'k'"),
    ("(1).x\n", "", (Fault.ATTRIBUTE, 1, 0, ""), "AttributeError: 'int' object has no attribute 'x'"),
    ("bytearray(10 ** 10)\n", "", (Fault.MEMORY, 1, 0, ""), "MemoryError"),
    ("class E(Exception): pass\nraise E('x')\n", "", (Fault.OTHER, 2, 0, ""), "E: x"),
    ("import sys\nsys.exit(3)\n", "", (Fault.OTHER, 0, 0, ""), ""),
    ("import os\nos.kill(os.getpid(), 9)\nwhile 1: pass\n", "", (Fault.CRASH, 0, 0, ""), ""),
    ("print(1)\n", "", (Fault.NONE, 0, 0, ""), ""),
]  # fmt: skip

JAVASCRIPT = [
    ("function f(x) {\n  return x.foo.bar;\n}\n", "[5]", (Fault.ATTRIBUTE, 2, 16, "f"), "TypeError: Cannot read"),
    ("function f(x) {\n  return x.foo(;\n}\n", "[5]", (Fault.SYNTAX, 2, 16, ""), "SyntaxError: Unexpected token ';'"),
    ("function f(x) {\n  return 1;\n", "[5]", (Fault.SYNTAX, 3, 1, ""), "SyntaxError: Unexpected"),
    ("let x = \"abc;\n", "", (Fault.SYNTAX, 1, 9, ""), "SyntaxError: Invalid or unexpected token"),
    ("f(1); function f(x) {return f(x);}\n", "", (Fault.RECURSION, 1, 22, "f"), "RangeError: Maximum"),
    ("let y = 1;\n  nothing + 1;\n", "", (Fault.NAME, 2, 3, ""), "ReferenceError: nothing is not defined"),
    ("throw new RangeError('hi')", "", (Fault.VALUE, 1, 7, ""), "RangeError: hi"),
    ("throw 'hi'", "", (Fault.OTHER, 1, 1, ""), "hi"),
    ("require('nothing-there')", "", (Fault.IMPORT, 1, 1, ""), "Error: Cannot find module 'nothing-there'"),
    ("const a = 1; a = 2;", "", (Fault.TYPE, 1, 16, ""), "TypeError: Assignment to constant variable."),
    ("JSON.parse('{');", "", (Fault.VALUE, 1, 6, ""), "SyntaxError: Expected property name"),
    ("require('assert')(false)", "", (Fault.ASSERTION, 1, 18, ""), "AssertionError: false == true"),
    ("[3].map((a) => a.b.c)", "", (Fault.ATTRIBUTE, 1, 20, ""), "TypeError: Cannot read properties"),
    ("let s = '\U0001f600'; s.x.y", "", (Fault.ATTRIBUTE, 1, 18, ""), "TypeError: Cannot read properties"),
    ("const x = 1;", "[1]", (Fault.NAME, 0, 0, ""), "ReferenceError: the program defines no function f"),
    ("function f(x) { return 'a'.repeat(-1); }", "[1]", (Fault.VALUE, 1, 28, "f"), "RangeError: Invalid count"),
    ("1n / 0n", "", (Fault.ZERO_DIVISION, 1, 4, ""), "RangeError: Division by zero"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "call", "where", "message"), PYTHON)
def test_a_python_error_is_named_and_placed(
    slots: Slots, code: str, call: str, *, where: tuple[Fault, int, int, str], message: str
) -> None:
    seen = _feedback(slots, "python", code, call)
    assert (seen.fault, seen.line, seen.column, seen.function) == where
    assert seen.message.startswith(message)
    assert seen.severity == SEVERITIES[seen.fault]


@pytest.mark.parametrize(("code", "call", "where", "message"), JAVASCRIPT)
def test_a_javascript_error_is_named_and_placed(
    slots: Slots, code: str, call: str, *, where: tuple[Fault, int, int, str], message: str
) -> None:
    seen = _feedback(slots, "javascript", code, call)
    assert (seen.fault, seen.line, seen.column, seen.function) == where
    assert seen.message.startswith(message)


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (Status.TIMEOUT, Fault.TIMEOUT),
        (Status.CPU_LIMIT, Fault.CPU),
        (Status.MEMORY_LIMIT, Fault.MEMORY),
        (Status.OUTPUT_LIMIT, Fault.OUTPUT),
        (Status.SIGNAL, Fault.CRASH),
        (Status.REFUSED, Fault.REFUSED),
        (Status.INTERNAL, Fault.INFRASTRUCTURE),
        (Status.COMPILE_ERROR, Fault.SYNTAX),
        (Status.ERROR, Fault.OTHER),
        (Status.SUCCESS, Fault.NONE),
    ],
)
@pytest.mark.parametrize("language", ["python", "javascript", "loda"])
def test_every_status_is_a_fault_in_every_language(status: Status, fault: Fault, language: str) -> None:
    seen = of_run(Program(language=language, code=""), RunResult(status=status))
    assert seen.fault is fault


def test_wrong_answers_and_broken_constraints_are_told_apart() -> None:
    right, wrong = CaseResult(passed=True, hidden=False), CaseResult(passed=False, hidden=True)
    broken = ("number 5 is required",)
    assert of_outcome("python", "", Outcome(status=Status.SUCCESS, cases=(right, wrong))).message == (
        "1 of 2 tests passed"
    )
    outcome = Outcome(status=Status.SUCCESS, cases=(right,), violations=broken)
    assert of_outcome("python", "", outcome).fault is Fault.CONSTRAINT
    assert of_outcome("python", "", Outcome(status=Status.SUCCESS, cases=(right,))).fault is Fault.NONE


def test_every_fault_has_a_severity_between_0_and_1() -> None:
    assert set(SEVERITIES) == set(Fault)
    assert all(0 <= severity <= 1 for severity in SEVERITIES.values())


PIECES = st.sampled_from(
    ["Traceback (most recent call last):", '  File "program.py", line ', "2, in f", "99999999", "\n", "    ^",
     "/tmp/program.js:", "    at f (/tmp/program.js:1:3)", "    at ", "TypeError: ", "\x1b[31m", "\u202e", "  ",
     "Error", ": x", "\r", "\ud800", "0"]
)  # fmt: skip
GARBAGE = st.lists(PIECES | st.text(max_size=20), max_size=40).map("".join)


@given(st.sampled_from(["python", "javascript", "bash"]), st.sampled_from(Status), GARBAGE, GARBAGE)
def test_whatever_is_written_the_feedback_is_bounded_and_harmless(
    language: str, status: Status, stderr: str, code: str
) -> None:
    seen = of_outcome(language, code, Outcome(status=status, stderr=stderr))
    assert len(seen.message) <= MAX_MESSAGE_CHARS
    assert safe(seen.message, keep_newlines=False) == seen.message
    assert safe(seen.function, keep_newlines=False) == seen.function
    assert 0 <= seen.line <= len(code) + 1
    assert seen.column >= 0


@given(st.binary(max_size=500))
def test_bytes_that_are_no_text_are_no_trouble(stderr: bytes) -> None:
    result = RunResult(status=Status.ERROR, stderr=stderr)
    assert of_run(Program(language="python", code="x"), result).severity > 0


@pytest.mark.parametrize(
    "stderr",
    ["    at " + "a (" * 300_000, "\n".join(['  File "program.py", line 1, in f'] * 50_000), "^" * 10**6, "\n" * 10**6,
     "Error" * 200_000, "a." * 500_000, " " * 10**6 + "x"],
    ids=["calls", "frames", "carets", "lines", "names", "dots", "blanks"],
)  # fmt: skip
@pytest.mark.parametrize("language", ["python", "javascript"])
def test_a_flood_of_hostile_text_is_read_in_a_moment(language: str, stderr: str) -> None:
    began = process_time()
    of_outcome(language, "x\n" * 1000, Outcome(status=Status.ERROR, stderr=stderr))
    assert process_time() - began < 2.0
