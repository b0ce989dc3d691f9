"""Bash and C++: a fresh jail each, exact ends, compilers confined, binaries remembered."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import NoJailError
from altlas_agent.core.records import Limits, Program, Status
from altlas_agent.languages.execution import executions
from altlas_agent.sandbox.engines.command import Commands
from altlas_agent.sandbox.engines.interpreters import python_engine
from altlas_agent.sandbox.engines.tools import find_tool
from altlas_agent.sandbox.jail import Jailer, unprivileged
from altlas_agent.sandbox.slots import Options, Slots
from tests.sandbox.conftest import Run, zombies

if TYPE_CHECKING:
    from pathlib import Path

ADD = "#include <iostream>\nint main() { int a, b; std::cin >> a >> b; std::cout << a + b << '\\n'; }"
MAIN = "int main() {{ {} }}"


@pytest.fixture
def bash(slots: Slots) -> Run:
    return Run(slots, "bash")


@pytest.fixture
def cpp(slots: Slots) -> Run:
    return Run(slots, "cpp")


def commands(language: str, *, reduced: bool = False) -> Commands:
    execution = executions()[language]
    jailer, harness = Jailer(uid=unprivileged(0), reduced=reduced), python_engine("auto")
    return Commands(jailer, harness, find_tool(language, execution), language=language, execution=execution)


def test_a_shell_program_reads_writes_and_ends(bash: Run) -> None:
    result = bash("read line; echo out:$line; echo err >&2; exit 7", stdin="abc\n")
    assert (result.status, result.exit_code) == (Status.ERROR, 7)
    assert (result.stdout, result.stderr) == (b"out:abc\n", b"err\n")
    assert (result.rung, result.engine) == ("bwrap-per-exec", "bash")


@pytest.mark.parametrize(
    ("code", "number"), [("kill -9 $$", 9), ("kill -SEGV $$", 11), ("kill -TERM $$", 15)]
)
def test_a_signal_is_told_by_its_number(bash: Run, code: str, number: int) -> None:
    result = bash(code)
    assert (result.status, result.signal, result.exit_code) == (Status.SIGNAL, number, None)


@pytest.mark.parametrize("code", [137, 139, 134, 130, 255])
def test_an_exit_code_never_passes_for_a_signal(bash: Run, code: int) -> None:
    result = bash(f"exit {code}")
    assert (result.status, result.exit_code, result.signal) == (Status.ERROR, code, None)


def test_a_program_cannot_end_who_watches_it(bash: Run) -> None:
    result = bash("kill -9 1; kill -INT 1; kill -STOP 1; kill -9 -1; echo here; exit 5")
    assert (result.exit_code, result.stdout) == (5, b"here\n")


def test_what_a_program_started_ends_with_it(bash: Run) -> None:
    began, before = time.monotonic(), zombies()
    result = bash("for i in 1 2 3; do (setsid sleep 600 &) ; done; (while :; do :; done) & echo done")
    assert result.stdout == b"done\n"
    assert time.monotonic() - began < 5
    assert zombies() == before


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("while :; do :; done", Status.CPU_LIMIT),
        ("sleep 60", Status.TIMEOUT),
        ("yes", Status.OUTPUT_LIMIT),
        (":(){ :|:& };:; sleep 60", Status.TIMEOUT),
        ("for i in {1..99999}; do : > /tmp/$i; done", Status.MEMORY_LIMIT),
    ],
)
def test_a_limit_ends_a_program(bash: Run, code: str, status: Status) -> None:
    burns = status is Status.CPU_LIMIT
    assert bash(code, cpu_s=0.5 if burns else 5.0, wall_s=8.0 if burns else 2.0).status is status


def test_output_that_is_no_text_comes_as_it_is(bash: Run) -> None:
    assert bash(r"printf '\xff\x00\xc3'").stdout == b"\xff\x00\xc3"


def test_the_next_program_finds_nothing_of_the_one_before(bash: Run) -> None:
    bash("touch /tmp/left /dev/shm/left; export LEFT=1")
    assert bash("ls /tmp /dev/shm; echo ${LEFT-none}").stdout == b"/dev/shm:\n\n/tmp:\nprogram.sh\nnone\n"


def test_nothing_of_this_machine_is_in_sight(bash: Run) -> None:
    result = bash("ls /home /root /etc/passwd /proc; env | cut -d= -f1 | sort | tr '\\n' ' '; id -u")
    assert result.stdout.split() == [b"HOME", b"LANG", b"PATH", b"PWD", b"SHLVL", b"_", b"61000"] or (
        os.geteuid() != 0
    )


def test_calls_are_refused_where_nobody_answers_them(bash: Run) -> None:
    assert bash("f() { :; }", entry="f", calls=("[1]",)).status is Status.REFUSED


def test_a_compiled_program_reads_and_writes(cpp: Run) -> None:
    result = cpp(ADD, stdin="3 4")
    assert (result.status, result.stdout, result.engine) == (Status.SUCCESS, b"7\n", "g++")


@pytest.mark.parametrize(
    ("body", "number"),
    [("__builtin_trap();", 4), ("__builtin_abort();", 6), ("return *(volatile int *)0;", 11)],
)
def test_a_crash_is_told_by_its_signal(cpp: Run, body: str, number: int) -> None:
    result = cpp(MAIN.format(body))
    assert (result.status, result.signal) == (Status.SIGNAL, number)


def test_what_does_not_compile_says_where(cpp: Run) -> None:
    result = cpp("int main() {\n  return x;\n}\n")
    assert (result.status, result.stdout) == (Status.COMPILE_ERROR, b"")
    assert b"program.cpp:2:10: error" in result.stderr


@pytest.mark.parametrize(
    "code",
    [
        '#include "/etc/passwd"\nint main() {}',
        '#include "/etc/hostname"\nint main() {}',
        '__asm__(".incbin \\"/etc/passwd\\"");\nint main() {}',
    ],
)
def test_a_compiler_sees_nothing_of_this_machine(cpp: Run, code: str) -> None:
    result = cpp(code)
    assert result.status is Status.COMPILE_ERROR
    assert b"root:" not in result.stderr


def test_a_compiler_has_limits_of_its_own(cpp: Run) -> None:
    began = time.monotonic()
    result = cpp("char x[1 << 27] = {1};\nint main() {}")
    assert result.status in (Status.COMPILE_ERROR, Status.MEMORY_LIMIT)
    endless = "template <int n> struct A { A<n + 1> a; };\nint main() { A<0> a; }"
    assert cpp(endless).status in (Status.COMPILE_ERROR, Status.MEMORY_LIMIT, Status.OUTPUT_LIMIT)
    assert time.monotonic() - began < 25


def test_the_same_source_is_compiled_once() -> None:
    runner = commands("cpp")
    for stdin, answer in (("1 2", b"3\n"), ("5 6", b"11\n")):
        program = Program(language="cpp", code=ADD, stdin=stdin)
        assert runner.run(program, Limits()).stdout == answer
    assert (runner.artefacts.hits, runner.artefacts.misses) == (1, 1)


def test_the_time_of_the_compiler_is_not_the_programs() -> None:
    result = commands("cpp").run(Program(language="cpp", code=ADD, stdin="1 2"), Limits(cpu_s=0.1, wall_s=1))
    assert result.status is Status.SUCCESS
    assert result.cpu_s < 0.1


def test_a_missing_compiler_is_refused_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with Slots(Options(result_cache=0)) as slots:
        result = slots.run(Program(language="cpp", code=ADD), Limits())
        assert result.status is Status.REFUSED
        assert b"apt-get install g++" in result.stderr


def test_a_language_is_added_by_a_file_alone(tmp_path: Path) -> None:
    further = tmp_path / "more.json"
    perl = {
        "extension": ".pl",
        "engine": "perl",
        "package": "perl",
        "command": ["perl", "-w", "{source}"],
        "canary": 'print 6 * 7, "\\n";',
    }
    c = {
        "extension": ".c",
        "engine": "gcc",
        "package": "gcc",
        "compile": {"command": ["gcc", "-o", "{program}", "{source}"], "artefact_kb": 1024},
        "command": ["{program}", "word"],
        "canary": '#include <stdio.h>\nint main() { puts("42"); }',
    }
    further.write_text(json.dumps({"perl": perl, "c": c}), "utf-8")
    with Slots(Options(result_cache=0, languages=str(further))) as slots:
        shown = slots.run(Program(language="perl", code="print reverse <STDIN>;", stdin="a\nb\n"), Limits())
        assert (shown.stdout, shown.engine) == (b"b\na\n", "perl")
        code = "#include <stdio.h>\nint main(int n, char **a) { puts(a[1]); }"
        shown = slots.run(Program(language="c", code=code), Limits())
        assert (shown.stdout, shown.engine) == (b"word\n", "gcc")


def test_a_command_that_cannot_start_is_no_fault_of_the_program(tmp_path: Path) -> None:
    further = tmp_path / "more.json"
    broken = {
        "extension": ".x",
        "engine": "x",
        "package": "x",
        "compile": {"command": ["cp", "{source}", "{program}"]},
        "command": ["/usr/bin/no-such-thing", "{program}"],
        "canary": "42",
    }
    further.write_text(json.dumps({"x": broken}), "utf-8")
    execution = executions(str(further))["x"]
    runner = Commands(
        Jailer(uid=unprivileged(0)),
        python_engine("auto"),
        find_tool("x", execution),
        language="x",
        execution=execution,
    )
    result = runner.run(Program(language="x", code="42"), Limits())
    assert result.status is Status.INTERNAL
    assert b"no-such-thing" in result.stderr or b"No such file" in result.stderr


@pytest.mark.parametrize(("language", "code"), [("bash", "echo $((6 * 7)); exit 3"), ("cpp", "")])
def test_the_reduced_jail_runs_commands_too(language: str, code: str) -> None:
    code = code or '#include <cstdio>\nint main() { std::puts("42"); return 3; }'
    runner = commands(language, reduced=True)
    try:
        result = runner.run(Program(language=language, code=code), Limits())
    except NoJailError as error:
        pytest.skip(error.message)
    assert (result.stdout, result.exit_code, result.rung) == (b"42\n", 3, "landlock"), result.stderr
