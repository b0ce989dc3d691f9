"""QuickJS and node show the same: of programs that the grammar draws, of every way to fail, and of any value."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import pytest

from altlas_agent.core.records import Limits, Program, RunResult, Status
from altlas_agent.languages.render import render
from altlas_agent.sandbox.advice.feedback import of_run
from altlas_agent.sandbox.slots import Options, Slots
from altlas_agent.tasks.loader import load_suite
from tests.languages.programs import random_tokens
from tests.sandbox.engines.test_quickjs import warm

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.core.records import Task

pytestmark = pytest.mark.timeout(240)

SCRIPTS = Path(__file__).parent / "scripts"
LIMITS = Limits(cpu_s=2.0, wall_s=8.0, memory_mb=256, output_kb=512)


class Lanes(NamedTuple):
    """Both ways to run JavaScript, without a memory."""

    quickjs: Slots
    node: Slots


@pytest.fixture(scope="module")
def lanes() -> Iterator[Lanes]:
    with (
        Slots(Options(result_cache=0, javascript="quickjs")) as quickjs,
        Slots(Options(result_cache=0)) as node,
    ):
        yield Lanes(quickjs, node)


def seen(result: RunResult) -> tuple[Status, int | None, tuple[str, ...], bytes]:
    return result.status, result.exit_code, result.returns, result.stdout


def shipped_tasks() -> list[Task]:
    return [entry.instance() for name in ("ladder", "quickstart") for entry in load_suite(name).entries]


def asked(task: Task, code: str) -> Program:
    """A program with the calls or the input of the tests of its task."""
    if task.signature is None:
        return Program(language="javascript", code=code, stdin=task.cases[0].stdin)
    calls = tuple(case.args for case in task.cases)
    return Program(language="javascript", code=code, entry=task.signature.name, calls=calls)


def drawn(count: int) -> list[Program]:
    """Programs of the shipped tasks, in JavaScript, every choice uniform over what the grammar offers."""
    rng = random.Random(11)
    tasks = shipped_tasks()
    programs: list[Program] = []
    for _ in range(count):
        task = rng.choice(tasks)
        task = msgspec.structs.replace(task, target_language="javascript")
        programs.append(asked(task, render(task, random_tokens(task, rng))))
    return programs


def shipped() -> list[Program]:
    """The references of all tasks for JavaScript, and what must not pass them."""
    return [
        asked(task, code)
        for task in shipped_tasks()
        if task.target_language == "javascript"
        for code in (task.reference, *task.cheats)
    ]


def test_programs_that_the_grammar_draws_show_the_same(lanes: Lanes) -> None:
    engines: Counter[str] = Counter()
    for program in drawn(150):
        quick, plain = lanes.quickjs.run(program, LIMITS), lanes.node.run(program, LIMITS)
        engines[quick.engine] += 1
        assert seen(quick) == seen(plain), program.code
        mine, other = of_run(program, quick), of_run(program, plain)
        assert (mine.fault, mine.line) == (other.fault, other.line), program.code
    assert engines["quickjs"] > 140, engines


def test_references_and_cheats_of_the_shipped_tasks_show_the_same(lanes: Lanes) -> None:
    programs = shipped()
    assert len(programs) > 30
    for program in programs:
        quick, plain = lanes.quickjs.run(program, LIMITS), lanes.node.run(program, LIMITS)
        assert (seen(quick), quick.engine) == (seen(plain), "quickjs"), program.code


FAILURES = Path(__file__).parent / "scripts" / "failures.json"
SAME_COLUMN = 0.85


def test_every_way_to_fail_is_told_as_node_tells_it(lanes: Lanes) -> None:
    codes: list[str] = json.loads(FAILURES.read_text("utf-8"))
    columns: list[bool] = []
    for code in codes:
        program = Program(language="javascript", code=code)
        quick, plain = lanes.quickjs.run(program, LIMITS), lanes.node.run(program, LIMITS)
        assert seen(quick) == seen(plain), code
        mine, other = of_run(program, quick), of_run(program, plain)
        assert (mine.fault, mine.severity, mine.line) == (other.fault, other.severity, other.line), code
        assert mine.message.partition(":")[0] == other.message.partition(":")[0], code
        columns.append(mine.column == other.column)
    assert sum(columns) >= SAME_COLUMN * len(columns)


@pytest.mark.parametrize("seed", range(1, 9))
def test_any_value_is_shown_as_node_shows_it(lanes: Lanes, seed: int) -> None:
    code = (SCRIPTS / "values.js").read_text("utf-8")
    program = Program(
        language="javascript", code=code.replace("SEED", str(7919 * seed)).replace("COUNT", "60")
    )
    quick, plain = lanes.quickjs.run(program, LIMITS), lanes.node.run(program, LIMITS)
    assert quick.stdout.decode().split("\n") == plain.stdout.decode().split("\n")
    assert (quick.status, quick.stderr) == (plain.status, plain.stderr)


def test_lists_are_sorted_with_the_same_calls_in_the_same_order(lanes: Lanes) -> None:
    code = (SCRIPTS / "orders.js").read_text("utf-8").replace("SEED", "4242").replace("COUNT", "300")
    program = Program(language="javascript", code=code)
    quick, plain = lanes.quickjs.run(program, LIMITS), lanes.node.run(program, LIMITS)
    assert (quick.engine, quick.stdout) == ("quickjs", plain.stdout)


def test_a_program_finds_nothing_that_node_does_not_have() -> None:
    walk = (SCRIPTS / "names.js").read_text("utf-8")
    inside = (
        f"from altlas_agent.sandbox.engines import scripts\nprint(scripts._engine.context.eval({walk!r}))"
    )
    python = warm()
    ours = python.run(Program(language="python", code=inside), LIMITS).stdout.decode().split("\n")
    python.close()
    with Slots(Options(result_cache=0)) as slots:
        told = slots.run(
            Program(language="javascript", code=f"console.log((0, eval)({json.dumps(walk)}))"), LIMITS
        )
    theirs = set(told.stdout.decode().split("\n"))
    assert len(ours) > 300
    assert [name for name in ours if name not in theirs] == []
