"""What the tools say about judged attempts, with real programs in real jails."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.children.child import ChildProcess
from altlas_agent.core.records import (
    Arm,
    Attempt,
    Case,
    Fault,
    Kind,
    Limits,
    Param,
    Program,
    RunResult,
    Signature,
    Task,
    ToolFeedback,
)
from altlas_agent.core.requests import Judge as JudgeRequest
from altlas_agent.core.requests import JudgedReply, SetUpWorker, WorkerReady
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.rewards.feedback import feedback_of
from altlas_agent.rewards.verdict import Judge
from altlas_agent.sandbox.slots import Options, Slots
from altlas_agent.settings.run import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

START = "FUNC_DEF FUNC_0 BLOCK_START "


@pytest.fixture(scope="module")
def slots() -> Iterator[Slots]:
    with Slots(Options()) as started:
        yield started


def _task(language: str = "python", *, cases: tuple[Case, ...] = ()) -> Task:
    """Asks for the first number of a list."""
    shown = Case(args="[[3, 4]]", expected="3")
    return Task(
        id="t/first",
        suite="t",
        name="first",
        description="the first number",
        target_language=language,
        kind=Kind.FUNCTION,
        cases=cases or (shown, Case(args="[[7]]", expected="7", hidden=True)),
        signature=Signature(name="first", params=(Param(name="items", type="list"),), returns="num"),
    )


def _attempt(task: Task, text: str) -> Attempt:
    tokens = vocabulary().numbers(f"{START}{text} BLOCK_END END")
    return _written(task, render(task, tokens), tokens)


def _written(task: Task, code: str, tokens: tuple[int, ...] = ()) -> Attempt:
    return Attempt(
        number=1,
        group=0,
        task_id=task.id,
        code=code,
        tokens=tokens,
        logps=tuple(0.0 for _ in tokens),
        policy_version=0,
        arm=Arm.POLICY,
    )


def _feedback(slots: Slots, task: Task, attempt: Attempt) -> ToolFeedback:
    outcome, _ = Judge(slots.run, {"tests": 1.0}).judge(task, attempt.code)
    return feedback_of(task, attempt, outcome, slots.run)


def _blamed(attempt: Attempt, seen: ToolFeedback) -> set[str]:
    names = vocabulary().names(attempt.tokens)
    return {name for name, weight in zip(names, seen.blame, strict=True) if weight == 1.0}


def test_an_error_blames_the_tokens_that_raised_it(slots: Slots) -> None:
    attempt = _attempt(task := _task(), "RETURN ADD INT_1 ITEM_AT ARG_0 INT_10")
    seen = _feedback(slots, task, attempt)
    assert (seen.fault, seen.line, seen.column, seen.function) == (Fault.INDEX, 2, 16, "first")
    assert _blamed(attempt, seen) == {"ITEM_AT", "ARG_0", "INT_10"}
    assert seen.trace is not None
    assert seen.trace.values["first"] == {"items": "[3, 4]"}


def test_an_error_in_javascript_blames_by_its_place_alone(slots: Slots) -> None:
    attempt = _attempt(
        task := _task("javascript"), "OUTPUT INT_1 RETURN LEN_STR REPEAT SPACE SUB INT_1 INT_10"
    )
    seen = _feedback(slots, task, attempt)
    assert (seen.fault, seen.line) == (Fault.VALUE, 3)
    assert "REPEAT" in _blamed(attempt, seen)
    assert "OUTPUT" not in _blamed(attempt, seen)
    assert seen.trace is None


def test_a_wrong_answer_blames_what_was_reached_a_little_and_the_rest_not_at_all(slots: Slots) -> None:
    text = "IF GT LEN_LIST ARG_0 INT_10 BLOCK_START RETURN INT_1 BLOCK_END RETURN INT_0"
    attempt = _attempt(task := _task(), text)
    seen = _feedback(slots, task, attempt)
    weights = dict(zip(vocabulary().names(attempt.tokens), seen.blame, strict=True))
    assert seen.fault is Fault.WRONG_ANSWER
    assert weights["INT_1"] == 0.0
    assert 0.0 < weights["INT_0"] < 0.5


def test_a_right_answer_blames_nobody_and_is_not_watched(slots: Slots) -> None:
    seen = _feedback(slots, task := _task(), _attempt(task, "RETURN ITEM_AT ARG_0 INT_0"))
    assert seen.fault is Fault.NONE
    assert set(seen.blame) == {0.0}
    assert seen.trace is None


def test_a_trace_shows_no_value_of_a_hidden_test(slots: Slots) -> None:
    cases = (Case(args="[[7, 8]]", expected="7", hidden=True),)
    attempt = _attempt(task := _task(cases=cases), "RETURN ITEM_AT ARG_0 INT_10")
    seen = _feedback(slots, task, attempt)
    assert seen.trace is not None
    assert seen.trace.lines
    assert seen.trace.values == {}


def test_a_visible_wrong_answer_is_watched_before_a_hidden_one(slots: Slots) -> None:
    hidden, shown = Case(args="[[7]]", expected="7", hidden=True), Case(args="[[3]]", expected="3")
    seen = _feedback(slots, task := _task(cases=(hidden, shown)), _attempt(task, "RETURN INT_0"))
    assert seen.trace is not None
    assert seen.trace.values == {"first": {"items": "[3]"}}


def test_text_that_was_not_rendered_has_advice_and_no_blame(slots: Slots) -> None:
    task = _task()
    seen = _feedback(slots, task, _written(task, "import socket\ndef first(items):\n    return items[9]\n"))
    assert seen.blame == ()
    assert [finding.rule for finding in seen.findings] == ["import-network"]
    assert (seen.fault, seen.line) == (Fault.INDEX, 3)


def test_without_a_runner_nothing_is_run_again(slots: Slots) -> None:
    ran: list[Program] = []

    def run(program: Program, limits: Limits) -> RunResult:
        ran.append(program)
        return slots.run(program, limits)

    attempt = _attempt(task := _task(), "RETURN ITEM_AT ARG_0 INT_10")
    outcome, _ = Judge(run, {"tests": 1.0}).judge(task, attempt.code)
    seen = feedback_of(task, attempt, outcome, None)
    assert len(ran) == 1
    assert seen.trace is None
    assert {"RETURN", "ITEM_AT"} <= _blamed(attempt, seen)


@pytest.mark.parametrize("traces", [True, False])
async def test_a_worker_process_hands_out_feedback_with_every_verdict(traces: bool) -> None:
    settings = Settings().model_copy(deep=True)
    sandbox = settings.sandbox.model_copy(update={"trace_failures": traces})
    told = settings.model_copy(update={"sandbox": sandbox}).model_dump_json()
    attempt = _attempt(task := _task(), "RETURN ITEM_AT ARG_0 INT_10")
    async with ChildProcess.start(
        name="w", argv=[sys.executable, "-m", "altlas_agent.rewards.service"]
    ) as child:
        await child.ask(SetUpWorker(settings=told, languages=("python",)), WorkerReady, timeout_s=20)
        reply = await child.ask(JudgeRequest(task=task, attempt=attempt), JudgedReply, timeout_s=20)
    seen = reply.judged.feedback
    assert seen is not None
    assert seen.fault is Fault.INDEX
    assert len(seen.blame) == len(attempt.tokens)
    assert (seen.trace is not None) == traces
    assert msgspec.json.decode(msgspec.json.encode(seen), type=ToolFeedback) == seen
