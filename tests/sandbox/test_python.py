"""Python programs behave as under a normal interpreter, on both rungs that can run them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.records import Status

if TYPE_CHECKING:
    from tests.sandbox.conftest import Run

F = "def f(x):\n"


def test_output_input_and_errors_are_kept_apart(run: Run) -> None:
    result = run("import sys\nprint(input()[::-1])\nprint('e', file=sys.stderr)", stdin="abc\n")
    assert (result.status, result.exit_code) == (Status.SUCCESS, 0)
    assert (result.stdout, result.stderr) == (b"cba\n", b"e\n")


def test_without_input_there_is_an_empty_one(run: Run) -> None:
    assert run("import sys; print(repr(sys.stdin.read()))").stdout == b"''\n"


def test_a_result_says_where_it_was_made(run: Run, reduced_rung: bool) -> None:
    result = run("print(1)")
    assert result.engine == "cpython"
    assert result.rung in ("zygote-full", "zygote-no-cgroup", "bwrap-per-exec", "landlock")
    assert ({"landlock", "reduced"} if reduced_rung else {"user-ns", "net-ns"}) < set(result.layers)
    assert {"seccomp", "rlimits"} < set(result.layers)
    assert 0 < result.cpu_s < 3
    assert 0 < result.wall_s < 5
    assert 1 < result.max_rss_mb < 100


@pytest.mark.parametrize(
    ("code", "exit_code"),
    [
        ("import sys; sys.exit(7)", 7),
        ("import sys; sys.exit(-1)", 255),
        ("exit('why')", 1),
        ("quit()", 0),
        ("raise SystemExit", 0),
        ("import os; os._exit(3)", 3),
        ("1 / 0", 1),
        ("import atexit, os; atexit.register(os._exit, 9)", 9),
        ("import sys\nsys.excepthook = None\n1 / 0", 1),
        ("import os\nreal = os._exit\nos._exit = lambda code: None\n1 / 0", 1),
    ],
)
def test_exit_codes_are_those_of_a_normal_interpreter(run: Run, code: str, exit_code: int) -> None:
    result = run(code)
    assert (result.exit_code, result.signal) == (exit_code, None)
    assert result.status is (Status.ERROR if exit_code else Status.SUCCESS)


@pytest.mark.parametrize("number", [6, 9, 11, 15])
def test_signals_are_reported_exactly(run: Run, number: int) -> None:
    result = run(f"import os\nprint('before', flush=True)\nos.kill(os.getpid(), {number})\nprint('after')")
    assert (result.status, result.signal, result.exit_code) == (Status.SIGNAL, number, None)
    assert result.stdout == b"before\n"


def test_a_traceback_shows_the_program_and_nothing_of_ours(run: Run) -> None:
    result = run("def f():\n    return 1 / 0\nf()")
    assert b'File "program.py", line 2, in f\nZeroDivisionError' in result.stderr
    assert b"sbx" not in result.stderr


@pytest.mark.parametrize("code", ["x =", "return 1", "(" * 5000, "-" * 100_000 + "1", "# coding: nonsense\n"])
def test_what_does_not_compile_is_a_compile_error(run: Run, code: str) -> None:
    result = run(code)
    assert result.status is Status.COMPILE_ERROR
    assert b"sbx" not in result.stderr


def test_a_program_cannot_pretend_that_it_did_not_compile(run: Run) -> None:
    assert run("raise SyntaxError('x')").status is Status.ERROR
    assert run("import os; os._exit(70)").status is Status.ERROR


def test_each_call_gives_the_json_of_its_value(run: Run) -> None:
    code = F + "    return {'in': x, 'pair': (1, None)}"
    result = run(code, entry="f", calls=("[1]", '["\u00e9"]', "[[true]]"))
    assert result.status is Status.SUCCESS
    assert [json.loads(text) for text in result.returns] == [
        {"in": value, "pair": [1, None]} for value in (1, "\u00e9", [True])
    ]


@pytest.mark.parametrize(
    "value", ["float('nan')", "[float('inf')]", "{1}", "f", "b''", "10 ** 5000", "'x' * 99_999", "1j"]
)
def test_a_value_that_is_not_json_or_too_large_is_no_answer(run: Run, value: str) -> None:
    result = run(F + f"    return {value} if x else 0", entry="f", calls=("[1]", "[0]"))
    assert result.returns == ("", "0")
    assert result.status is Status.SUCCESS


@pytest.mark.parametrize(
    "fault",
    ["raise ValueError(x)", "import sys; sys.exit(0)", "exit(4)", "f(x)", "raise KeyboardInterrupt", "f()"],
)
def test_a_call_that_raises_does_not_stop_the_next_ones(run: Run, fault: str) -> None:
    result = run(F + f"    if x == 2:\n        {fault}\n    return x", entry="f", calls=("[1]", "[2]", "[3]"))
    assert result.returns == ("1", "", "3")
    assert result.status is Status.ERROR


def test_a_program_that_leaves_in_a_call_keeps_the_answers_so_far(run: Run) -> None:
    result = run(
        F + "    import os\n    return x if x < 2 else os._exit(0)", entry="f", calls=("[1]", "[2]", "[3]")
    )
    assert result.returns == ("1", "", "")


def test_calls_that_never_end_cost_only_the_calls_after_them(run: Run) -> None:
    code = F + "    while x == 2: pass\n    return x"
    result = run(code, entry="f", calls=("[1]", "[2]", "[3]"), wall_s=0.6)
    assert result.status is Status.TIMEOUT
    assert result.returns == ("1", "", "")


@pytest.mark.parametrize("code", ["x = 1", "f = 3", "raise ValueError", "import sys; sys.exit(1)"])
def test_without_the_function_there_are_no_answers(run: Run, code: str) -> None:
    result = run(code, entry="f", calls=("[1]", "[2]"))
    assert (result.status, result.returns) == (Status.ERROR, ("", ""))


def test_a_module_with_a_function_is_not_the_main_program(run: Run) -> None:
    code = F + "    return x\nif __name__ == '__main__':\n    print(input())"
    assert run(code, entry="f", calls=("[1]",)).returns == ("1",)


@pytest.mark.parametrize(
    "code",
    [
        "import asyncio\nasync def main():\n    await asyncio.sleep(0)\n    print('ok')\nasyncio.run(main())",
        "import multiprocessing as m\na, b = m.Pipe()\na.send('ok')\nprint(b.recv())",
        "import threading\nt = threading.Thread(target=print, args=('ok',))\nt.start()",
        "import subprocess\nprint(subprocess.run(['echo', 'ok'], capture_output=True, text=True).stdout, end='')",
        "import tempfile\nwith tempfile.TemporaryFile('w+') as f:\n    f.write('ok')\n    f.seek(0)\n    print(f.read())",
        "import os\nif os.fork():\n    os.wait()\nelse:\n    print('ok', flush=True)\n    os._exit(0)",
        "from dataclasses import dataclass\n@dataclass\nclass A:\n    x: str = 'ok'\nprint(A().x)",
        "import pickle\nclass A:\n    x = 'ok'\nprint(pickle.loads(pickle.dumps(A())).x)",
        "import atexit\natexit.register(print, 'ok')",
        "import multiprocessing.shared_memory as s\nm = s.SharedMemory(create=True, size=9)\nm.unlink()\nprint('ok')",
        "import signal, time\nsignal.signal(signal.SIGALRM, lambda *_: print('ok'))\nsignal.setitimer(0, 0.01)\ntime.sleep(0.1)",
    ],
)
def test_honest_programs_find_what_they_need(run: Run, code: str, reduced_rung: bool) -> None:
    if reduced_rung and "shared_memory" in code:
        pytest.skip("a reduced jail has no /dev/shm of its own and offers none")
    result = run(code)
    assert result.stdout == b"ok\n", result


def test_chance_differs_and_hashes_do_not(run: Run) -> None:
    code = "import random\nprint(random.random())\nprint(hash('a'))"
    (chance, hashed), (other_chance, other_hashed) = (run(code).stdout.split() for _ in range(2))
    assert chance != other_chance
    assert hashed == other_hashed
