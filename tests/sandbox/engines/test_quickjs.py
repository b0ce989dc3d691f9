"""JavaScript in QuickJS: what it shows, what is left to node, and hostile programs behind the walls for Python."""

from __future__ import annotations

import logging
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from altlas_agent.core.errors import SandboxError, ServiceMissingError
from altlas_agent.core.records import Limits, Program, Status
from altlas_agent.sandbox.cold import ColdPython
from altlas_agent.sandbox.engines.interpreters import node_engine, python_engine
from altlas_agent.sandbox.engines.quickjs import LIBRARY, QuickJs, is_in_share, may_break_out, needs_node
from altlas_agent.sandbox.jail import Jailer, unprivileged
from altlas_agent.sandbox.node import Node
from altlas_agent.sandbox.slots import LADDERS, QUICKJS, Options, Slots
from altlas_agent.sandbox.walls import landlock
from altlas_agent.sandbox.walls.cgroup import Cgroup
from altlas_agent.sandbox.warm import ForkServer
from tests.sandbox.attacks import Place, attack
from tests.sandbox.conftest import Run, descendants, landlock_abi, zombies

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from altlas_agent.sandbox.runner import Runner

pytestmark = pytest.mark.timeout(60)

F = "function f(x) {"


class Lane(NamedTuple):
    """What runs JavaScript on one rung, and the Python that it tells what to do."""

    rung: str
    python: Runner
    quickjs: QuickJs


def warm(*, full: bool = False, compiled: bool = True) -> Runner:
    cgroup = Cgroup.make() if full else None
    jailer, engine = Jailer(uid=unprivileged(0)), python_engine("auto")
    return ForkServer(jailer, engine, cgroup=cgroup, compiled=compiled, library=LIBRARY)


def cold(*, reduced: bool) -> Runner:
    return ColdPython(Jailer(uid=unprivileged(0), reduced=reduced), python_engine("auto"), library=LIBRARY)


RUNGS: dict[str, Callable[[], Runner]] = {
    "zygote-full": lambda: warm(full=True),
    "zygote-no-cgroup": warm,
    "zygote-python": lambda: warm(compiled=False),
    "bwrap-per-exec": lambda: cold(reduced=False),
    "landlock": lambda: cold(reduced=True),
}


QUICK = ("zygote-full", "zygote-python")
"""The rungs that the lane is for; on the others what is held is tried, not all that is shown."""


def _lane(rung: str) -> Lane:
    if rung == "landlock" and landlock_abi() < landlock.LOWEST_ABI:
        pytest.skip("no Landlock of version 6")
    try:
        python = RUNGS[rung]()
    except SandboxError as error:
        if rung != "zygote-full":
            raise
        pytest.skip(error.message)
    jailer = Jailer(uid=unprivileged(0), reduced=rung == "landlock")
    quickjs = QuickJs(python, Node(jailer, node_engine("auto"), prewarmed=0))
    return Lane("zygote-no-cgroup" if rung == "zygote-python" else rung, python, quickjs)


@pytest.fixture(scope="module", params=QUICK)
def quick_lane(request: pytest.FixtureRequest) -> Iterator[Lane]:
    lane = _lane(request.param)
    yield lane
    lane.quickjs.close()


@pytest.fixture(scope="module", params=RUNGS)
def lane(request: pytest.FixtureRequest) -> Iterator[Lane]:
    lane = _lane(request.param)
    yield lane
    lane.quickjs.close()


@contextmanager
def _watched(lane: Lane) -> Generator[Run]:
    """Runs programs; afterwards the slot is the same, it runs the next program, and nothing is left."""
    before, dead, started = lane.quickjs.alive(), zombies(), descendants(os.getpid())
    run = Run(lane.quickjs, "javascript")
    yield run
    assert run("console.log(6 * 7)").stdout == b"42\n"
    assert lane.quickjs.alive() == before
    assert (zombies(), descendants(os.getpid())) == (dead, started)


@pytest.fixture
def run(quick_lane: Lane) -> Iterator[Run]:
    with _watched(quick_lane) as run:
        yield run


@pytest.fixture
def held(lane: Lane) -> Iterator[Run]:
    """The same on every rung."""
    with _watched(lane) as run:
        yield run


def test_output_input_and_errors_are_kept_apart(held: Run, lane: Lane) -> None:
    result = held(
        "console.log(require('fs').readFileSync(0, 'utf8').length); console.error('e')", stdin="a\0é"
    )
    assert (result.status, result.stdout, result.stderr) == (Status.SUCCESS, b"3\n", b"e\n")
    assert (result.engine, result.rung) == ("quickjs", lane.rung)


@pytest.mark.parametrize(
    ("code", "stdout"),
    [
        ("process.stdout.write('a\\0b\\ud800')", b"a\0b\xef\xbf\xbd"),
        ("console.log('é', '\\n', [-0, NaN], { a: new Map([[1, 'b']]) })", None),
        ("console.log()", b"\n"),
        ("console.log('%s is %d%%', 'x', 4.5, [1])", b"x is 4.5% [ 1 ]\n"),
        (
            "console.log(this === module.exports, typeof require, __filename)",
            b"true function /tmp/program.js\n",
        ),
        ("return console.log(1)", b"1\n"),
    ],
)
def test_what_is_written_is_what_node_writes(run: Run, code: str, stdout: bytes | None) -> None:
    expected = "é \n [ -0, NaN ] { a: Map(1) { 1 => 'b' } }\n".encode() if stdout is None else stdout
    result = run(code)
    assert (result.status, result.stdout, result.engine) == (Status.SUCCESS, expected, "quickjs")


def test_each_call_gives_the_json_of_its_value(run: Run) -> None:
    result = run(
        F + "return {in: x, list: [1, null, 'é\\0']} }", entry="f", calls=("[1.0]", '["a"]', "[[true]]")
    )
    assert (result.status, result.engine) == (Status.SUCCESS, "quickjs")
    assert result.returns == tuple(
        f'{{"in":{text},"list":[1,null,"é\\u0000"]}}' for text in ("1", '"a"', "[true]")
    )


@pytest.mark.parametrize(
    "value", ["undefined", "NaN", "[Infinity]", "() => 1", "[() => 1]", "10n", "Symbol('x')", "[undefined]"]
)
def test_a_value_that_is_not_json_is_no_answer(run: Run, value: str) -> None:
    result = run(F + f"return x ? {value} : 0 }}", entry="f", calls=("[1]", "[0]"))
    assert (result.status, result.returns, result.engine) == (Status.SUCCESS, ("", "0"), "quickjs")


def test_a_call_that_throws_leaves_the_others_and_only_the_first_is_told(run: Run) -> None:
    result = run(
        F + "\n  if (x > 1) throw new Error('b' + x);\n  return x;\n}",
        entry="f",
        calls=("[1]", "[2]", "[3]", "[0]"),
    )
    assert (result.status, result.returns, result.exit_code) == (Status.ERROR, ("1", "", "", "0"), 1)
    assert result.stderr == b"Error: b2\n    at f (/tmp/program.js:2:20)\n"


@pytest.mark.parametrize(
    "code",
    [
        "const f = (x) => x",
        "module.exports = { f: (x) => x }",
        "exports.f = (x) => x",
        "module.exports = (x) => x",
        "let f = function (x) { return x } // end",
    ],
)
def test_functions_are_found_however_they_are_made(run: Run, code: str) -> None:
    result = run(code, entry="f", calls=("[1]",))
    assert (result.returns, result.engine) == (("1",), "quickjs")


def test_without_the_function_there_are_no_answers(run: Run) -> None:
    result = run("let g = 1", entry="f", calls=("[1]",))
    assert (result.status, result.returns, result.engine) == (Status.ERROR, ("",), "quickjs")
    assert result.stderr == b"ReferenceError: the program defines no function f\n"


@pytest.mark.parametrize(
    "code",
    [
        "let x =",
        "function f(",
        "} console.log('out'); {",
        "}, function () {",
        "}); console.log('out'); (function () {",
        "}(1), function () {",
        '"{"; } console.log(1); {',
    ],
)
def test_what_does_not_compile_runs_nowhere(run: Run, code: str) -> None:
    for calls in ((), ("[1]",)):
        result = run(code, entry="f" if calls else "", calls=calls)
        assert (result.status, result.exit_code, result.stdout) == (Status.COMPILE_ERROR, 1, b"")
        assert (result.engine, result.returns) == ("quickjs", ("",) * len(calls))
        assert b"SyntaxError" in result.stderr


FOR_NODE = [
    ("console.log(require('os').EOL.length)", b"1\n"),
    ("process.exit(7)", b""),
    ("setTimeout(() => console.log(1), 1)", b"1\n"),
    ("console.log(Buffer.from('a'))", b"<Buffer 61>\n"),
    ("(async () => console.log(await 5))()", b"5\n"),
    ("globalThis['Prom' + 'ise'].resolve(5).then(console.log)", b"5\n"),
    ("console.log(typeof Date.now())", b"number\n"),
    ("console.log(Math.random() < 1)", b"true\n"),
    ("console.log(2 ** 0.5, Math.pow(2, 0.5), Math.sin(1))", None),
    (
        "try { null.x } catch (e) { console.log(e.message) }",
        b"Cannot read properties of null (reading 'x')\n",
    ),
    ("throw 'x'", b""),
    ("throw Object.assign(new Error('x'), { code: 1 })", b""),
    ("class E extends Error {}\nthrow new E('x')", b""),
    ("console.table([1])", None),
    ("const a = []; a.push(a); console.log(a)", b"<ref *1> [ [Circular *1] ]\n"),
    ("console.log(new Proxy({}, {}))", b"{}\n"),
    ("console.log(eval('1 + 1'), Function('return 3')())", b"2 3\n"),
    ("console.log(new Set([1]).union)", None),
    ("console.log((0.1).toString(3).length > 9, (1234.5).toLocaleString())", None),
    ("console.log('a'.localeCompare('b'))", b"-1\n"),
    ("console.log([...Array(70).keys()].sort((a, b) => b - a)[0])", b"69\n"),
    ("console.log(require('fs').readdirSync('/tmp').length)", b"0\n"),
    ("process.stdout.write('a', () => console.log('b'))", b"ab\n"),
    ("Promise.reject(new Error('nobody waits'))", b""),
]


@pytest.mark.parametrize(("code", "stdout"), FOR_NODE, ids=range(len(FOR_NODE)))
def test_what_only_node_has_is_run_by_node_alone(run: Run, code: str, stdout: bytes | None) -> None:
    result = run(code)
    assert result.engine == "node"
    assert stdout is None or result.stdout == stdout
    assert result.status is Status.SUCCESS or "throw" in code or "exit" in code or "reject" in code


def test_the_answers_of_calls_are_given_once_however_late_node_has_to_be_asked(run: Run) -> None:
    code = F + "console.log(x); return x < 3 ? x : Math.sqrt(Math.exp(0)) }"
    result = run(code, entry="f", calls=("[1]", "[2]", "[3]"))
    assert (result.engine, result.returns, result.stdout) == ("node", ("1", "2", "1"), b"1\n2\n3\n")


def test_an_endless_program_is_stopped_in_time_by_node(held: Run) -> None:
    began = time.monotonic()
    result = held("console.log(1); while (true);", cpu_s=0.4, wall_s=3.0)
    assert time.monotonic() - began < 3.0 + 3.0
    assert (result.status, result.engine, result.stdout) == (Status.CPU_LIMIT, "node", b"1\n")


def test_a_long_program_that_node_can_run_in_time_is_no_failure(run: Run) -> None:
    code = "let n = 0; for (let i = 0; i < 3e7; i++) n = (n + i) % 1000; console.log(n)"
    result = run(code, cpu_s=2.0)
    assert (result.status, result.engine) == (Status.SUCCESS, "node")


def test_a_pattern_that_never_ends_is_stopped(run: Run) -> None:
    result = run("console.log(/^(a+)+$/.test('a'.repeat(40) + 'b'))", cpu_s=0.4, wall_s=3.0)
    assert result.status is Status.CPU_LIMIT


@pytest.mark.parametrize(
    "grow",
    [
        "a.push(new Array(1000).fill(a.length / 3))",
        "a.push('x'.repeat(1e5) + a.length)",
        "a[0] += a[0] + 'x'",
    ],
)
def test_memory_is_limited(held: Run, lane: Lane, grow: str) -> None:
    result = held(f"let a = ['x']; for (;;) {grow}", memory_mb=64)
    assert result.status in (Status.MEMORY_LIMIT, Status.ERROR, Status.CPU_LIMIT)
    assert result.engine == "node"
    raw = lane.python.run(Program(language="python", code="print(1)"), Limits())
    assert raw.stdout == b"1\n"


def test_recursion_is_as_deep_as_in_node_and_not_endless(held: Run) -> None:
    result = held(
        "function f(n) { return n ? 1 + f(n - 1) : 0 }", entry="f", calls=("[9000]", "[1e9]", "[9000]")
    )
    assert (result.status, result.returns, result.engine) == (Status.ERROR, ("9000", "", "9000"), "quickjs")
    assert result.stderr.startswith(
        b"RangeError: Maximum call stack size exceeded\n    at f (/tmp/program.js:1:"
    )


def test_a_flood_of_output_is_cut_and_said_to_be(held: Run) -> None:
    result = held("for (;;) console.log('x'.repeat(10000))", output_kb=8, cpu_s=1)
    assert (result.status, result.engine) == (Status.OUTPUT_LIMIT, "quickjs")
    assert (len(result.stdout), result.stdout_truncated) == (8192, True)


def test_nothing_passes_from_one_program_to_the_next(held: Run) -> None:
    held(
        "Array.prototype.left = 1; Object.prototype.value = 2; JSON.stringify = () => '3'; console.log = null; left = 4"
    )
    code = "console.log([].left, ({}).value, JSON.stringify([1]), typeof left)"
    result = held(code)
    assert (result.stdout, result.engine) == (b"undefined undefined [1] undefined\n", "quickjs")


def test_what_a_program_changes_changes_no_verdict(run: Run) -> None:
    code = """
Object.prototype.value = Object.prototype.get = Object.prototype.items = Object.prototype.empty = 1;
Array.prototype[Symbol.iterator] = Array.prototype.map = Array.prototype.push = String.prototype.includes = null;
JSON.stringify = JSON.parse = Reflect.apply = Object.keys = Array.isArray = () => 'forged';
const f = (x) => ({ x, y: [x] });
console.log({ a: [1, 'b'] }, [{}]);
"""
    result = run(code, entry="f", calls=("[1]",))
    assert (result.status, result.returns) == (Status.SUCCESS, ('{"x":1,"y":[1]}',))
    assert result.stdout == b"{ a: [ 1, 'b' ] } [ {} ]\n"


REACH = """
const seen = new Set(), found = [], open = [this, function () { return this }(), require, module, console, f];
const names = new Set(['write', 'leave', 'read', 'harness', 'harnessLoad', 'harnessCall', 'misspelt', 'evaluate']);
while (open.length) {
  const each = open.pop();
  if ((typeof each !== 'object' && typeof each !== 'function') || each === null || seen.has(each)) continue;
  seen.add(each);
  const isGuard = each === process;
  if (isGuard) continue;
  open.push(Reflect.getPrototypeOf(each));
  for (const key of Reflect.ownKeys(each)) {
    const { value } = Reflect.getOwnPropertyDescriptor(each, key);
    if (typeof value === 'function' && names.has(value.name)) found.push(value.name);
    open.push(value);
  }
}
function f() { return f.caller }
console.log(seen.size > 200, found.join());
"""


def test_no_object_of_the_host_can_be_reached(held: Run) -> None:
    result = held(REACH)
    assert (result.stdout, result.engine, result.stderr) == (b"true \n", "quickjs", b"")


@pytest.mark.parametrize(
    "code",
    [
        "console.log({ toString() { throw 1 }, [Symbol.toPrimitive]() { throw 1 } })",
        "console.log('x', Object.create({ get constructor() { throw new Error('y') } }))",
        "class A { get [Symbol.toStringTag]() { for (;;) throw 1 } }\nconsole.log([new A()])",
        "Object.defineProperty(Object.prototype, 'a', { get() { throw new Error('z') } }); console.log({}, [1])",
        "let n = []; for (let i = 0; i < 1e5; i++) n = [n]; console.log(n)",
        "const f = () => f; console.log(f, f.bind(1), class { static name = 1 })",
    ],
)
def test_what_is_shown_cannot_harm_what_shows_it(run: Run, code: str) -> None:
    assert run(code).status in (Status.SUCCESS, Status.ERROR)


def test_python_that_broke_out_of_the_engine_would_still_be_held(lane: Lane, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o011)
    place = Place.make(tmp_path)
    try:
        runner = RUNGS[lane.rung]()
        shown = attack(runner, str(place.folder), place.port)
        runner.close()
        assert (shown.output, place.traces(shown)) == ("done\n", set())
    finally:
        place.close()


def test_a_program_starts_no_thread_and_no_process(lane: Lane) -> None:
    code = "import os, _thread\nprint(_thread._count(), len(os.listdir('/proc/self/task')))"
    result = lane.python.run(Program(language="python", code=code), Limits())
    assert result.stdout == b"" or result.stdout.startswith(b"0 ")


def test_the_setting_says_what_runs_javascript() -> None:
    assert [name for name, _ in QUICKJS] == [name for name, _ in LADDERS["python"]]
    program = Program(language="javascript", code="console.log(1)")
    for javascript, engine in (("node", "node"), ("quickjs", "quickjs")):
        with Slots(Options(javascript=javascript)) as slots:  # type: ignore[arg-type]
            result = slots.run(program, Limits())
            assert (result.stdout, result.engine, result.rung) == (b"1\n", engine, slots.start("javascript"))


def test_without_its_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with Slots(Options(javascript="quickjs")) as slots:
        with pytest.raises(ServiceMissingError, match="pip install quickjs-ng"):
            slots.start("javascript")
        refused = slots.run(Program(language="javascript", code="1"), Limits())
    assert refused.status is Status.REFUSED


def test_where_both_run_a_program_node_is_right_and_the_difference_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    quickjs = QuickJs(warm(), Node(Jailer(uid=unprivileged(0)), node_engine("auto")), cross_check=1.0)
    try:
        same = quickjs.run(Program(language="javascript", code="console.log([1])"), Limits())
        with caplog.at_level(logging.WARNING):
            # How a function of the engine itself is written is a difference that nobody has to care about.
            other = quickjs.run(Program(language="javascript", code="console.log(`${Math.max}`)"), Limits())
    finally:
        quickjs.close()
    assert (same.engine, same.stdout) == ("node", b"[ 1 ]\n")
    assert (other.engine, other.stdout) == ("node", b"function max() { [native code] }\n")
    assert (quickjs.compared, quickjs.disagreed) == (2, 1)
    assert "disagree on 1 of 2 programs" in caplog.text
    assert "Math.max" in caplog.text


def test_which_programs_are_compared_depends_on_nothing_but_their_text() -> None:
    programs = [Program(language="javascript", code=f"console.log({number})") for number in range(2000)]
    chosen = [program for program in programs if is_in_share(program, 0.1)]
    assert 140 < len(chosen) < 260
    assert [program for program in programs if is_in_share(program, 0.1)] == chosen
    assert all(is_in_share(program, 0.2) for program in chosen)
    assert not any(is_in_share(program, 0.0) for program in programs)
    assert all(is_in_share(program, 1.0) for program in programs)


@pytest.mark.parametrize("code", ["/** a comment */\nlet await_ = 1", "a.catcher()", "x * *y"])
def test_a_look_at_the_text_keeps_what_is_harmless(code: str) -> None:
    assert not needs_node(code)


@pytest.mark.parametrize(
    ("code", "doubtful"),
    [
        ("function f() { if (1) { } }", False),
        ("} + {", True),
        ("f(\"a\", 'b') { }", False),
        ('"{" }', True),
        ("`{`", True),
        ("// {", True),
    ],
)
def test_a_text_is_read_twice_only_where_its_braces_may_deceive(code: str, doubtful: bool) -> None:
    assert may_break_out(code) is doubtful
