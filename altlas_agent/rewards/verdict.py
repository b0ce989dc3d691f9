"""From a task and a program to an Outcome and a Score; expected values never enter the jail."""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import ScoringError
from altlas_agent.core.records import (
    Case,
    CaseResult,
    Kind,
    Outcome,
    Pattern,
    Program,
    RunResult,
    Score,
    Status,
    Task,
)
from altlas_agent.languages.base import violations
from altlas_agent.languages.build import language
from altlas_agent.rewards import output
from altlas_agent.rewards.combining import UNPARSED
from altlas_agent.rewards.rubric import Evidence, score

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from altlas_agent.core.records import Limits

    Run = Callable[[Program, Limits], RunResult]

SHOWN_CHARS = 2_000
REMEMBERED_ANSWERS = 4_096
REFERENCE_TRIES = 3


class Judge:
    """Runs programs through `run` and scores them. Remembers what the references of families answer."""

    def __init__(self, run: Run, weights: Mapping[str, float]) -> None:
        self._run = run
        self._weights = weights
        self._answers: OrderedDict[tuple[str, str], tuple[str, ...]] = OrderedDict()

    def judge(self, task: Task, code: str) -> tuple[Outcome, Score]:
        """The verdict on one program.

        An outcome of status `internal` is our own fault, of the sandbox or of a scorer: it has no score.
        """
        expected = self._expected(task)
        results = self._results(task, code)
        answers = _answers(task, results)
        checked = [_check(task, *pair) for pair in zip(task.cases, answers, expected, strict=True)]
        outcome = _outcome(task, code, results, tuple(result for result, _ in checked))
        if not outcome.status.is_scored:
            return outcome, Score(value=0.0, parts={})
        near = sum(closeness for _, closeness in checked) / max(len(checked), 1)
        evidence = Evidence(task=task, code=code, outcome=outcome, closeness=near)
        try:
            return outcome, score(evidence, self._weights)
        except ScoringError as error:  # nonsense is neither scored nor learned from
            spoilt = msgspec.structs.replace(outcome, status=Status.INTERNAL, stderr=error.message)
            return spoilt, Score(value=0.0, parts={})

    def _results(self, task: Task, code: str) -> tuple[RunResult, ...]:
        """One run with a call for each test, or one run for each standard input."""
        if task.kind is Kind.FUNCTION:
            entry = task.signature.name if task.signature else ""
            calls = tuple(case.args for case in task.cases)
            program = Program(language=task.target_language, code=code, entry=entry, calls=calls)
            return (self._run(program, task.limits),)
        inputs = dict.fromkeys(case.stdin for case in task.cases)
        return tuple(
            self._run(Program(language=task.target_language, code=code, stdin=stdin), task.limits)
            for stdin in inputs
        )

    def _expected(self, task: Task) -> tuple[str, ...]:
        """What each test expects; where the task file leaves it open, what the reference answers."""
        if all(case.expected for case in task.cases):
            return tuple(case.expected for case in task.cases)
        key = (task.id, task.reference)
        known = self._answers.get(key)
        if known is None:
            known = self._answers[key] = self._ask_reference(task)
            if len(self._answers) > REMEMBERED_ANSWERS:
                self._answers.popitem(last=False)
        return tuple(case.expected or answer for case, answer in zip(task.cases, known, strict=True))

    def _ask_reference(self, task: Task) -> tuple[str, ...]:
        failures: list[str] = []
        for _ in range(REFERENCE_TRIES):  # a busy machine may let it run into its limits
            results = self._results(task, task.reference)
            answers, worst = _answers(task, results), _worst(results)
            if worst.status is Status.SUCCESS and all(answers):
                return answers
            failures.append(f"{worst.status}: {_text(worst.stderr)[-300:]}".strip(": \n"))
        raise ScoringError(f"task {task.id}: its reference gives no answer ({failures[-1]})")


def _answers(task: Task, results: tuple[RunResult, ...]) -> tuple[str, ...]:
    """One JSON text for each test, "" where there was no answer."""
    if task.kind is Kind.FUNCTION:
        returns = results[0].returns
        return (*returns, *[""] * (len(task.cases) - len(returns)))[: len(task.cases)]
    inputs = list(dict.fromkeys(case.stdin for case in task.cases))
    printed = dict(zip(inputs, results, strict=True))
    return tuple(_printed(printed[case.stdin]) for case in task.cases)


def _printed(result: RunResult) -> str:
    if result.status is not Status.SUCCESS or result.stdout_truncated:
        return ""
    return msgspec.json.encode(_text(result.stdout)).decode()


def _check(task: Task, case: Case, answer: str, expected: str) -> tuple[CaseResult, float]:
    """The verdict on one test, and how near the answer is."""
    answered, got = output.parse(answer)
    is_known, wanted = output.parse(expected)
    if not is_known:
        raise ScoringError(f"task {task.id}: a test expects what no program can answer: {expected[:80]}")
    if not answered:
        return CaseResult(passed=False, hidden=case.hidden), 0.0
    if task.kind is Kind.STDOUT and isinstance(got, str) and isinstance(wanted, str):
        passed = output.same_text(got, wanted)
        near = 1.0 if passed else output.text_closeness(got, wanted)
    else:
        passed, near = output.equal(got, wanted), output.closeness(got, wanted)
    return CaseResult(passed=passed, hidden=case.hidden, got=answer[:SHOWN_CHARS]), near


def _outcome(task: Task, code: str, results: tuple[RunResult, ...], cases: tuple[CaseResult, ...]) -> Outcome:
    shown = _worst(results)
    return Outcome(
        status=shown.status,
        cases=cases,
        violations=_violations(task, code),
        stdout=_text(shown.stdout)[:SHOWN_CHARS],
        stderr=_text(shown.stderr)[-SHOWN_CHARS:],
        cpu_s=sum(r.cpu_s for r in results),
        wall_s=sum(r.wall_s for r in results),
        max_rss_mb=max(r.max_rss_mb for r in results),
        rung=shown.rung,
        engine=shown.engine,
    )


def _worst(results: tuple[RunResult, ...]) -> RunResult:
    """The first that did not succeed; before all, a fault of the sandbox, which spoils the verdict."""
    return min(results, key=lambda each: (each.status.is_scored, each.status is Status.SUCCESS))


def _violations(task: Task, code: str) -> tuple[str, ...]:
    structure = language(task.target_language).structure(code)
    if structure is None:
        return (UNPARSED,)
    found = violations(structure, task.constraints)
    if task.patterns and not any(_matches(pattern, code) for pattern in task.patterns):
        return (*found, "the text fits none of the valid patterns")
    return found


def _matches(pattern: Pattern, code: str) -> bool:
    """White space that does not count is taken out of the program; patterns are written without it."""
    text = "".join(code.split()) if pattern.ignore_whitespace else code
    return re.search(pattern.regex, text, re.IGNORECASE if pattern.ignore_case else 0) is not None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")
