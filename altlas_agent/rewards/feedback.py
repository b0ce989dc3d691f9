"""What the tools say about a judged attempt: its fault, advice, a trace where it failed, tokens to blame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import LanguageError
from altlas_agent.core.records import Kind, Limits, Program, RunResult, Status
from altlas_agent.languages.render import render_with_spans
from altlas_agent.sandbox.advice.blame import blame
from altlas_agent.sandbox.advice.feedback import of_outcome
from altlas_agent.sandbox.advice.precheck import findings
from altlas_agent.sandbox.advice.tracing import placed, trace, without_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.core.records import Attempt, Outcome, Task, ToolFeedback, Trace
    from altlas_agent.languages.render import Span

    Run = Callable[[Program, Limits], RunResult]

_NEVER_RAN = frozenset({Status.COMPILE_ERROR, Status.REFUSED, Status.INTERNAL})


def feedback_of(task: Task, attempt: Attempt, outcome: Outcome, run: Run | None) -> ToolFeedback:
    """The feedback on an attempt; with `run`, a failing program is run once more under watch.

    A program that was rendered from its tokens gets no static advice: the grammar has nothing to warn of.
    """
    seen = of_outcome(task.target_language, attempt.code, outcome)
    watched = _trace(task, attempt.code, outcome, run) if run is not None else None
    spans = _spans(task, attempt)
    return msgspec.structs.replace(
        placed(seen, watched),
        trace=watched,
        findings=() if spans else findings(task.target_language, attempt.code),
        blame=blame(spans, seen, watched),
    )


def _spans(task: Task, attempt: Attempt) -> tuple[Span, ...]:
    """None where the text was not rendered from the tokens."""
    if not attempt.tokens:
        return ()
    try:
        rendered = render_with_spans(task, attempt.tokens)
    except LanguageError:
        return ()
    return rendered.spans if rendered.code == attempt.code else ()


def _trace(task: Task, code: str, outcome: Outcome, run: Run) -> Trace | None:
    place = _to_watch(outcome)
    if place is None or outcome.status in _NEVER_RAN:
        return None
    case = task.cases[place]
    is_function = task.kind is Kind.FUNCTION and task.signature is not None
    program = Program(
        language=task.target_language,
        code=code,
        entry=task.signature.name if is_function and task.signature else "",
        calls=(case.args,) if is_function else (),
        stdin=case.stdin,
    )
    seen = trace(run, program, task.limits)
    return without_values(seen) if seen is not None and case.hidden else seen


def _to_watch(outcome: Outcome) -> int | None:
    """The first test without an answer when the program broke down, else a wrong one, not hidden if possible."""
    broke_down = outcome.status is not Status.SUCCESS

    def is_second_choice(place: int) -> bool:
        case = outcome.cases[place]
        return bool(case.got) if broke_down else case.hidden

    failed = [place for place, case in enumerate(outcome.cases) if not case.passed]
    return min(failed, key=is_second_choice, default=None)
