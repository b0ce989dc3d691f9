"""From evidence to status, and from hostile bytes to answers."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.records import Limits, Program, Status
from altlas_agent.sandbox.runner import (
    MAX_CALLS,
    MAX_SOURCE_BYTES,
    Evidence,
    Stage,
    classify,
    read_answers,
    refusal,
)

LIMITS = Limits(cpu_s=1.0, output_kb=1)
FINE = Evidence(stage=Stage.COMPILED, exit_code=0)


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (FINE, Status.SUCCESS),
        (replace(FINE, exit_code=3), Status.ERROR),
        (replace(FINE, exit_code=None, signal=6), Status.SIGNAL),
        (replace(FINE, exit_code=None, signal=9, cpu_s=1.1), Status.CPU_LIMIT),
        (replace(FINE, exit_code=None, signal=24, cpu_s=1.1), Status.CPU_LIMIT),
        (replace(FINE, exit_code=None, signal=24, cpu_s=0.1), Status.SIGNAL),
        (replace(FINE, broken="cpu", cpu_s=1.1), Status.CPU_LIMIT),
        (replace(FINE, broken="memory", exit_code=None, signal=9, cpu_s=2.0), Status.MEMORY_LIMIT),
        (replace(FINE, broken="memory", stderr_bytes=1025), Status.OUTPUT_LIMIT),
        (replace(FINE, stdout_bytes=1024), Status.SUCCESS),
        (replace(FINE, exit_code=1, stdout_bytes=1025), Status.OUTPUT_LIMIT),
        (replace(FINE, broken="wall", exit_code=None, signal=9, stdout_bytes=1025), Status.TIMEOUT),
        (replace(FINE, stage=Stage.CONFINED, exit_code=1, stdout_bytes=1025), Status.COMPILE_ERROR),
        (replace(FINE, stage=Stage.CONFINED, exit_code=None, signal=11), Status.COMPILE_ERROR),
        (replace(FINE, stage=Stage.CONFINED, broken="wall", signal=9), Status.TIMEOUT),
        (replace(FINE, stage=Stage.STARTED, exit_code=0, broken="wall"), Status.INTERNAL),
    ],
)
def test_the_first_thing_that_holds_is_the_status(seen: Evidence, status: Status) -> None:
    assert classify(seen, LIMITS) is status


def frames(*texts: bytes) -> bytes:
    return bytes(4) + b"".join(struct.pack("<I", len(text)) + text for text in texts)


def test_answers_are_read_in_order_and_the_missing_ones_are_empty() -> None:
    assert read_answers(frames(b"[1]", b"", b'"a"'), 4, 100) == ("[1]", "", '"a"', "")


@pytest.mark.parametrize(
    "forged", [b"not json", b"NaN", b"[Infinity]", b"\xff\xfe", b"[" * 99_999, b"9" * 5000, b'"a" "b"']
)
def test_what_is_not_json_is_no_answer(forged: bytes) -> None:
    assert read_answers(frames(forged, b"7"), 2, 100_000) == ("", "7")


def test_an_answer_beyond_the_cap_is_none() -> None:
    assert read_answers(frames(b'"' + b"x" * 99 + b'"'), 1, 100) == ("",)


@given(st.binary(max_size=200), st.integers(0, 5))
def test_no_bytes_break_the_reader(area: bytes, calls: int) -> None:
    answers = read_answers(area, calls, 64)
    assert len(answers) == calls
    assert all(len(answer) <= 64 for answer in answers)


@pytest.mark.parametrize(
    "program",
    [
        Program(language="python", code="print('\ud800')"),
        Program(language="python", code="x = 1", stdin="\udfff"),
        Program(language="python", code="x = '\0'"),
        Program(language="python", code="#" * (MAX_SOURCE_BYTES + 1)),
        Program(language="python", code="x = 1", calls=("[]",)),
        Program(language="python", code="x = 1", entry="f", calls=("[]",) * (MAX_CALLS + 1)),
        Program(language="python", code="x = 1", entry="f(); import os; f"),
        Program(language="python", code="x = 1", entry="f", calls=('["\ud800"]',)),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_starts(program: Program) -> None:
    assert refusal(program)


def test_ordinary_programs_are_not_refused() -> None:
    assert refusal(Program(language="python", code="print('\u00e9')", stdin="\0")) == ""
    assert refusal(Program(language="javascript", code="", entry="$f_1", calls=("[]",))) == ""
