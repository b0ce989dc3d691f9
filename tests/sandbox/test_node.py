"""JavaScript programs: one node process each, booted ahead, in a jail of its own."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.records import Status
from tests.sandbox.conftest import Run, descendants

if TYPE_CHECKING:
    from pathlib import Path

    from altlas_agent.sandbox.slots import Slots

F = "function f(x) {"


def test_output_input_and_errors_are_kept_apart(run_node: Run) -> None:
    result = run_node(
        "console.log(require('fs').readFileSync(0, 'utf8').length); console.error('e')", stdin="abc"
    )
    assert (result.status, result.stdout, result.stderr) == (Status.SUCCESS, b"3\n", b"e\n")
    assert (result.engine, result.rung) == ("node", "bwrap-per-exec")


@pytest.mark.parametrize(
    "code",
    [
        "process.stdin.on('data', (text) => console.log(String(text)))",
        "console.log(require('fs').readFileSync('/dev/stdin', 'utf8'))",
        "require('readline').createInterface({ input: process.stdin }).on('line', console.log)",
    ],
)
def test_every_usual_way_to_read_input_works(run_node: Run, code: str) -> None:
    assert run_node(code, stdin="abc").stdout == b"abc\n"


@pytest.mark.parametrize(
    ("code", "exit_code", "number"),
    [
        ("process.exit(7)", 7, None),
        ("process.exitCode = 3", 3, None),
        ("throw new Error('x')", 1, None),
        ("process.exit(0)", 0, None),
        ("process.abort()", None, 6),
        ("process.kill(process.pid, 'SIGKILL')", None, 9),
    ],
)
def test_exit_codes_and_signals(run_node: Run, code: str, exit_code: int | None, number: int | None) -> None:
    result = run_node(code)
    assert (result.exit_code, result.signal) == (exit_code, number)


def test_what_does_not_compile_is_a_compile_error(run_node: Run) -> None:
    result = run_node("let x =")
    assert result.status is Status.COMPILE_ERROR
    assert b"SyntaxError" in result.stderr
    assert run_node("throw new SyntaxError('x')").status is Status.ERROR


def test_each_call_gives_the_json_of_its_value(run_node: Run) -> None:
    result = run_node(
        F + "return {in: x, list: [1, null, 'é']} }", entry="f", calls=("[1]", '["a"]', "[[true]]")
    )
    assert result.status is Status.SUCCESS
    assert result.returns == tuple(f'{{"in":{text},"list":[1,null,"é"]}}' for text in ("1", '"a"', "[true]"))


@pytest.mark.parametrize(
    "value", ["undefined", "NaN", "[Infinity]", "() => 1", "[() => 1]", "10n", "Symbol('x')", "[undefined]"]
)
def test_a_value_that_is_not_json_is_no_answer(run_node: Run, value: str) -> None:
    result = run_node(F + f"return x ? {value} : 0 }}", entry="f", calls=("[1]", "[0]"))
    assert (result.status, result.returns) == (Status.SUCCESS, ("", "0"))


def test_a_call_that_throws_does_not_stop_the_next_ones(run_node: Run) -> None:
    result = run_node(
        F + "if (x === 2) throw new Error('b'); return x }", entry="f", calls=("[1]", "[2]", "[3]")
    )
    assert (result.status, result.returns) == (Status.ERROR, ("1", "", "3"))


def test_leaving_in_a_call_keeps_the_answers_so_far(run_node: Run) -> None:
    result = run_node(F + "if (x === 2) process.exit(0); return x }", entry="f", calls=("[1]", "[2]", "[3]"))
    assert result.returns == ("1", "", "")


@pytest.mark.parametrize(
    "code",
    [
        "const f = (x) => x",
        "async function f(x) { return x }",
        "module.exports = { f: (x) => x }",
        "let f = function (x) { return x } // end",
    ],
)
def test_functions_are_found_however_they_are_made(run_node: Run, code: str) -> None:
    assert run_node(code, entry="f", calls=("[1]",)).returns == ("1",)


def test_without_the_function_there_are_no_answers(run_node: Run) -> None:
    result = run_node("let g = 1", entry="f", calls=("[1]",))
    assert (result.status, result.returns) == (Status.ERROR, ("",))


def test_source_cannot_break_out_of_its_wrapper(run_node: Run) -> None:
    assert run_node("} console.log('out'); {").status is Status.COMPILE_ERROR


@pytest.mark.parametrize("code", ["while (true);", "setTimeout(() => 0, 60000)", "setInterval(() => 0, 1)"])
def test_the_verdict_comes_in_time(run_node: Run, code: str) -> None:
    began = time.monotonic()
    result = run_node(code, wall_s=0.6)
    assert result.status is Status.TIMEOUT
    assert time.monotonic() - began < 3


def test_cpu_time_is_limited(run_node: Run) -> None:
    result = run_node("while (true);", cpu_s=0.3)
    assert result.status is Status.CPU_LIMIT
    assert 0.2 < result.cpu_s < 2


@pytest.mark.parametrize("grow", ["new Array(1000).fill(Math.random())", "Buffer.alloc(1e6, 1)"])
def test_memory_is_limited(run_node: Run, grow: str) -> None:
    assert run_node(f"let a = []; while (true) a.push({grow})", memory_mb=64).status is Status.MEMORY_LIMIT


def test_a_flood_of_output_is_cut_and_said_to_be(run_node: Run) -> None:
    result = run_node("for (;;) console.log('x'.repeat(10000))", output_kb=8, cpu_s=1)
    assert result.status is Status.OUTPUT_LIMIT
    assert (len(result.stdout), result.stdout_truncated) == (8192, True)


def test_there_is_no_network(run_node: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        port = listener.getsockname()[1]
        result = run_node(
            f"require('net').connect({port}, '127.0.0.1').on('error', (e) => console.log(e.code))"
        )
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert result.stdout == b"EAFNOSUPPORT\n"


def test_files_and_environment_outside_stay_outside(
    run_node: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALTLAS_API_KEY", "canary")
    tmp_path.chmod(0o777)
    (tmp_path / "canary").write_text("canary")
    result = run_node(f"""
const fs = require('fs');
for (const path of [{str(tmp_path / "canary")!r}, '/etc/passwd', '/proc/self/environ', '/usr/x', '/sbx/x', '/x']) {{
  try {{ console.log(fs.readFileSync(path, 'utf8')) }} catch {{}}
  try {{ fs.writeFileSync(path, 'x'); console.log('wrote', path) }} catch {{}}
}}
console.log(Object.keys(process.env).sort().join(), fs.readdirSync('/tmp').length);
""")
    assert result.stdout == b"HOME,LANG,PATH 0\n"
    assert (tmp_path / "canary").read_text() == "canary"


def test_no_state_passes_from_one_program_to_the_next(run_node: Run) -> None:
    run_node("globalThis.left = 1; Array.prototype.left = 1; require('fs').writeFileSync('/tmp/left', 'x')")
    result = run_node("console.log(globalThis.left, [].left, require('fs').existsSync('/tmp/left'))")
    assert result.stdout == b"undefined undefined false\n"


def test_stray_descriptors_change_no_record(run_node: Run) -> None:
    result = run_node("""
const fs = require('fs');
for (let fd = 3; fd < 64; fd++) { try { fs.writeSync(fd, Buffer.alloc(64, 255)) } catch {} }
process.exit(5);
""")
    # Some of them are node's own, which then aborts.
    assert (result.status, result.exit_code) in ((Status.ERROR, 5), (Status.SIGNAL, None))


def test_no_process_is_left_when_the_verdict_is_there(run_node: Run) -> None:
    code = "require('child_process').spawn('sleep', ['61'], { detached: true, stdio: 'inherit' }).unref()"
    began = time.monotonic()
    assert run_node(code).status is Status.SUCCESS
    assert time.monotonic() - began < 3
    for pid in descendants(os.getpid()):
        with open(f"/proc/{pid}/cmdline") as command:
            assert not command.read().startswith("sleep\x0061")


def test_a_booted_process_that_dies_is_replaced(slots: Slots, run_node: Run) -> None:
    run_node("1")
    os.kill(int(slots.alive("javascript").partition(":")[2]), 9)
    time.sleep(0.1)
    assert run_node("console.log(1)").stdout == b"1\n"
