"""Proving a task: what is right passes, and everything that could let a wrong program through is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.records import Limits, Outcome, Program, RunResult, Score, Status, Task
from altlas_agent.tasks.checks import Proof, instances, prove
from altlas_agent.tasks.loader import load_suite, read_entry
from altlas_agent.tasks.proofs.probes import unenforced_limits
from tests.tasks.examples import changed, family, function_task, stdout_task, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from altlas_agent.rewards.verdict import Judge
    from altlas_agent.sandbox.slots import Slots
    from tests.tasks.examples import Tree

    Prover = Callable[[Tree], Proof]

# Short limits keep the tests short: programs that never end are part of every proof.
QUICK = {"cpu_s": 0.3, "wall_s": 2.0, "memory_mb": 256, "output_kb": 4}


@pytest.fixture
def proved(tmp_path: Path, judge: Judge, slots: Slots) -> Prover:
    def prove_tree(tree: Tree) -> Proof:
        entry = read_entry(write(tmp_path, tree | {"limits": {**QUICK}}), "here")
        return prove(entry, judge.judge, slots.run)

    return prove_tree


@pytest.mark.parametrize(
    "tree", [stdout_task(), function_task(), family()], ids=["stdout", "function", "family"]
)
def test_a_right_task_is_proved(tree: Tree, proved: Prover) -> None:
    assert proved(tree).failures == ()


def test_a_right_task_in_javascript_is_proved(proved: Prover) -> None:
    tree = function_task(
        target_language="javascript",
        reference="function double(n) { return n * 2; }",
        cheats=["function double(n) { return 6; }"],
    )
    assert proved(tree).failures == ()


def test_a_family_is_proved_on_both_splits(proved: Prover) -> None:
    assert proved(family()).instances == 4


def test_a_wrong_reference_is_found(proved: Prover) -> None:
    proof = proved(function_task(reference="def double(n):\n    return n + 3\n", tokens="", cheats=[]))
    assert not proof.is_proved
    assert "the reference scores" in proof.failures[0]
    assert "2 of 4 tests failed; on test 1 it answered 3" in proof.failures[0]


def test_a_reference_that_fails_to_run_is_found(proved: Prover) -> None:
    proof = proved(function_task(reference="def double(n):\n    return n * unknown\n", tokens=""))
    assert "NameError" in proof.failures[0]


def test_a_cheat_that_succeeds_is_found(proved: Prover) -> None:
    proof = proved(
        function_task(cheats=["def double(n):\n    return 6\n", "def double(n):\n    return n + n\n"])
    )
    assert proof.failures == ("cheat 2 succeeds on here/double",)


def test_a_constant_may_fit_one_instance_of_a_family_but_not_two(
    tmp_path: Path, judge: Judge, slots: Slots
) -> None:
    entry = read_entry(write(tmp_path, family(limits={**QUICK})), "here")
    (k,) = instances(entry, 2)[0].numbers
    fitting = read_entry(
        write(tmp_path, family(limits={**QUICK}, cheats=[f"def shift(n):\n    return n + {k}\n"])), "here"
    )
    assert prove(fitting, judge.judge, slots.run).is_proved
    tree = family(limits={**QUICK}, cheats=["def shift(n):\n    return {k} - -n\n"])
    for cheat in ("def shift(n):\n    return {k} - -n\n", "def shift(n):\n    return n + len('x' * {k})\n"):
        proof = prove(read_entry(write(tmp_path, tree | {"cheats": [cheat]}), "here"), judge.judge, slots.run)
        assert "cheat 1 succeeds on here/shift#train-0, " in proof.failures[0]


def test_tokens_that_do_not_solve_the_task_are_found(proved: Prover) -> None:
    tokens = "FUNC_DEF FUNC_0 BLOCK_START RETURN ADD ARG_0 NUM_0 BLOCK_END END"
    proof = proved(function_task(tokens=tokens))
    assert len(proof.failures) == 1
    assert proof.failures[0].startswith("what the tokens render to scores")


STATIC: dict[str, tuple[Tree, str]] = {
    "reference that does not parse": (stdout_task(reference="print(5 + "), "the reference does not parse"),
    "reference that breaks a constraint": (
        stdout_task(reference="print(8)"), "the reference breaks a constraint: operator + is required"
    ),
    "cheat that does not parse": (stdout_task(cheats=["print("]), "cheat 1 does not parse, so it proves nothing"),
    "cheat that is the reference": (
        function_task(cheats=["def double(x):\n  return (x*2)"]), "cheat 1 is the reference, written differently"
    ),
    "number that is not in the description": (
        changed(stdout_task(), "description", "Print five plus 3."),
        "the number 5 is required but does not stand in the description",
    ),
    "text that is not in the description": (
        changed(stdout_task(reference="print(5 + 3, 'x')"), "constraints.require.strings", ["x"]),
        "the text 'x' is required but does not stand, in quotes, in the description",
    ),
    "unknown token": (stdout_task(tokens="OUTPUT PLUS END"), "has no token 'PLUS'"),
    "tokens that are no program": (stdout_task(tokens="OUTPUT ADD NUM_0 END"), "END cannot fill a num hole here"),
    "tokens that stop early": (stdout_task(tokens="OUTPUT ADD NUM_0 NUM_1"), "the program is not complete"),
    "too many tokens": (
        changed(stdout_task(), "constraints.max_tokens", 4), "tokens: 5 tokens, but max_tokens is 4"
    ),
    "no room for any program": (
        changed(function_task(), "constraints", {"max_tokens": 3}), "tokens: no program fits"
    ),
}  # fmt: skip


@pytest.mark.parametrize(("tree", "failure"), STATIC.values(), ids=STATIC)
def test_what_needs_no_sandbox_is_found_without_one(tree: Tree, failure: str, tmp_path: Path) -> None:
    entry = read_entry(write(tmp_path, tree), "here")
    proof = prove(entry, _nobody_judges, _nobody_runs)
    assert any(failure in told for told in proof.failures), proof.failures


def _nobody_judges(task: Task, code: str) -> tuple[Outcome, Score]:
    raise AssertionError("nothing may be judged before the static checks have passed")


def _nobody_runs(program: Program, limits: Limits) -> RunResult:
    raise AssertionError("nothing may be run before the static checks have passed")


def test_a_static_failure_of_a_family_names_the_instance(tmp_path: Path) -> None:
    tree = changed(family(), "constraints.require.numbers", [7])
    proof = prove(read_entry(write(tmp_path, tree), "here"), _nobody_judges, _nobody_runs)
    assert proof.failures[0].startswith("train-0: the reference breaks a constraint: number 7")


def test_a_broken_later_instance_is_a_failure_with_the_file(tmp_path: Path) -> None:
    tree = family(
        name="rare",
        parameters={"k": {"from": 3, "to": 60}, "t": {"choices": ["x", 5, 6, 7, 8]}},
        tests={"visible": [{"args": ["{t}"]}], "hidden": [{"args": [-1]}, {"args": [-2]}, {"args": [-3]}]},
    )
    entry = read_entry(write(tmp_path, tree), "here")
    proof = prove(entry, _nobody_judges, _nobody_runs)
    assert "rare.json: tests.visible[0].args[0]: must be a number (num)" in proof.failures[0]


def test_a_fault_of_the_sandbox_proves_nothing(tmp_path: Path, slots: Slots) -> None:
    entry = read_entry(write(tmp_path, stdout_task(limits={**QUICK})), "here")

    def lost(task: Task, code: str) -> tuple[Outcome, Score]:
        return Outcome(status=Status.INTERNAL, stderr="no room"), Score(value=0.0, parts={})

    proof = prove(entry, lost, slots.run)
    assert proof.failures[0] == "the sandbox failed twice, nothing is proved: no room"
    assert proof.failures[-1].startswith("cheat 1: the sandbox failed twice")


@pytest.mark.parametrize("language", ["python", "javascript"])
@pytest.mark.parametrize("kind", ["stdout", "function"])
def test_a_sandbox_that_keeps_the_limits_is_believed(language: str, kind: str, slots: Slots) -> None:
    assert list(unenforced_limits(_task(language, kind), slots.run)) == []


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_limits_that_are_not_enforced_are_found(language: str, slots: Slots) -> None:
    generous = Limits(cpu_s=1.0, wall_s=2.0, memory_mb=512, output_kb=64)
    task = _task(language, "stdout", Limits(cpu_s=0.1, wall_s=0.1, memory_mb=256, output_kb=4))
    failures = list(unenforced_limits(task, lambda program, _: slots.run(program, generous), grace_s=0.2))
    assert len(failures) == 2
    assert "was stopped after" in failures[0]
    assert "bytes of output were kept, but output_kb is 4" in failures[1]


def test_programs_that_end_by_themselves_are_no_proof_of_a_limit() -> None:
    def ends(program: Program, limits: Limits) -> RunResult:
        return RunResult(status=Status.SUCCESS, stdout=b"x")

    failures = list(unenforced_limits(_task("python", "function"), ends))
    assert failures == [
        "a program that never ends was not stopped by a time limit: success",
        "a program that prints more than output_kb was not cut: success",
    ]


def _task(language: str, kind: str, limits: Limits | None = None) -> Task:
    entries = load_suite("quickstart").entries
    entry = next(e for e in entries if (e.file.target_language, e.file.kind.value) == (language, kind))
    quick = Limits(cpu_s=0.3, wall_s=2.0, memory_mb=256, output_kb=4)
    return msgspec.structs.replace(entry.instance(), limits=limits or quick)
