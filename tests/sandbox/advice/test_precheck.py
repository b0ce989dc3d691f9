"""Static advice: what it sees, and that it never gets in the way unless a setting says so."""

from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.records import Limits, Program, Severity, Status
from altlas_agent.sandbox.advice.precheck import MAX_CODE_CHARS, MAX_FINDINGS, findings, objection
from altlas_agent.sandbox.slots import Options, Slots


def _rules(language: str, code: str) -> set[tuple[str, str, int, int]]:
    return {(f.rule, f.severity.value, f.line, f.column) for f in findings(language, code)}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import socket", ("import-network", "high", 1, 1)),
        ("from urllib.request import urlopen", ("import-network", "high", 1, 1)),
        ("x = 1\nimport math, ctypes", ("import-native", "high", 2, 1)),
        ("import pathlib", ("import-files", "medium", 1, 1)),
        ("__import__('subprocess')", ("import-processes", "high", 1, 1)),
        ("import os\nos.fork()", ("call-processes", "high", 2, 1)),
        ("x = eval('1')", ("call-interpreter", "medium", 1, 5)),
        ("x = ().__class__.__base__", ("internals", "high", 1, 5)),
        ("while True:\n    pass", ("endless-loop", "medium", 1, 1)),
        ("try:\n    f()\nexcept:\n    g()", ("catch-all", "low", 3, 1)),
        ("x = 10 ** 10 ** 10", ("huge-number", "medium", 1, 5)),
        ("import subprocess\nsubprocess.run('ls', shell=True)", ("B602", "low", 2, 1)),
        ("'\u00e9\u00e9'; eval('1')", ("call-interpreter", "medium", 1, 7)),
    ],
)
def test_python_findings_name_rule_severity_and_place(code: str, expected: tuple[str, str, int, int]) -> None:
    assert expected in _rules("python", code)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("const c = require('child_process')", ("import-processes", "high", 1, 11)),
        ("import fs from 'node:fs/promises'", ("import-files", "medium", 1, 1)),
        ("\n  fetch('http://x')", ("call-network", "high", 2, 3)),
        ("process.binding('x')", ("call-native", "high", 1, 1)),
        ("new Function('return 1')()", ("call-interpreter", "medium", 1, 1)),
        ("({}).constructor.constructor('return this')()", ("internals", "high", 1, 1)),
        ("while (true) {}", ("endless-loop", "medium", 1, 1)),
        ("for (;;) { f(); }", ("endless-loop", "medium", 1, 1)),
        ("'\u00e9'; eval('1')", ("call-interpreter", "medium", 1, 6)),
    ],
)
def test_javascript_findings_name_rule_severity_and_place(
    code: str, expected: tuple[str, str, int, int]
) -> None:
    assert expected in _rules("javascript", code)


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "import math\n\ndef solve(a):\n    while a > 1:\n        a //= 2\n    return a\n"),
        ("python", "while True:\n    if f():\n        break\n"),
        ("javascript", "function solve(a) { while (true) { if (a) { return 1; } } }"),
        ("javascript", "for (let i = 0; i < 3; i++) { console.log(i); }"),
    ],
)
def test_an_ordinary_program_has_no_findings(language: str, code: str) -> None:
    assert findings(language, code) == ()


def test_the_most_severe_comes_first_and_the_list_is_bounded() -> None:
    seen = findings("python", "import random\nimport socket\n" + "eval('1')\n" * 1000)
    assert seen[0].severity is Severity.HIGH
    assert len(seen) == MAX_FINDINGS


def test_a_comment_does_not_silence_a_finding() -> None:
    code = "import subprocess\nsubprocess.run('ls', shell=True)  # nosec\n"
    assert "B602" in {finding.rule for finding in findings("python", code)}


@pytest.mark.parametrize(
    "code",
    ["def f(:", "\x00", "\ud800", "import socket\n" + "#" * MAX_CODE_CHARS, "x = " + "-" * 15_000 + "1", "[" * 20_000],
    ids=["broken", "nul", "surrogate", "long", "deep", "brackets"],
)  # fmt: skip
@pytest.mark.parametrize("language", ["python", "javascript", "loda"])
def test_what_cannot_be_looked_at_gets_no_advice(language: str, code: str) -> None:
    assert findings(language, code) == ()


@given(st.sampled_from(["python", "javascript"]), st.text(max_size=400))
def test_no_text_breaks_the_checks(language: str, code: str) -> None:
    findings(language, code)


def test_checks_leave_the_warnings_of_the_process_alone() -> None:
    before = warnings.formatwarning
    assert findings("python", "x = '\\d'\nimport socket\n")
    assert warnings.formatwarning is before


def test_nothing_is_refused_by_default_and_what_is_found_is_told_when_asked() -> None:
    program = Program(language="python", code="import socket\nprint(1)\n")
    assert objection(program, "none") == ""
    assert "line 1: socket reaches for the network (import-network, high)" in objection(program, "high")
    assert objection(Program(language="python", code="import random\n"), "medium") == ""


@pytest.mark.parametrize(("threshold", "status"), [("none", Status.SUCCESS), ("high", Status.REFUSED)])
def test_a_slot_refuses_only_what_the_setting_says(threshold: str, status: Status) -> None:
    options = Options(result_cache=0, refuse_severity="high" if threshold == "high" else "none")
    with Slots(options) as slots:
        result = slots.run(Program(language="python", code="import socket\nprint(1)\n"), Limits())
        honest = slots.run(Program(language="python", code="print(1)\n"), Limits())
    assert result.status is status
    assert (b"reaches for the network" in result.stderr) == (status is Status.REFUSED)
    assert honest.status is Status.SUCCESS
