"""Why an attempt has its score, in numbers and in words, from what is stored of it.

Nothing is run or measured again, beside how near each answer was. Standard library and records only: commands
that look at history start with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.records import CaseResult, Kind, Outcome, Record, Score, Task
from altlas_agent.rewards import output
from altlas_agent.rewards.combining import (
    FORM_SHARE,
    NOVELTY,
    SHAPED,
    START,
    UNSOLVED_CEILING,
    scorers_of,
    weight_of,
    weighted_mean,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHOWN_CHARS = 60
_ROUNDING = 1e-9


class Facts(Record):
    """What is known of an attempt. `task` is the very instance, None where only its family is stored.

    `weights` are those of its run; None where the settings of the run do not tell.
    """

    code: str
    outcome: Outcome
    score: Score
    task: Task | None = None
    weights: dict[str, float] | None = None


class Part(Record):
    """One scorer: what it gave, and what of that is in the weighted mean. `why` says it in words."""

    scorer: str
    value: float
    weight: float | None
    contribution: float | None
    why: str


class Answer(Record):
    """One test, numbered from 1. `near` is None where the answer or what was expected is not known."""

    test: int
    passed: bool
    hidden: bool
    near: float | None
    why: str


class Change(Record):
    """One step on the way from the weighted mean to the score."""

    step: str
    before: float
    after: float
    why: str


class Explanation(Record):
    """Why an attempt has its score; the last of the changes, if any, leads to it."""

    score: float
    solved: bool
    why: str
    parts: tuple[Part, ...]
    answers: tuple[Answer, ...]
    changes: tuple[Change, ...]


def explain(facts: Facts) -> Explanation:
    """Explain one attempt."""
    answers = tuple(_answers(facts))
    told = _Told(facts=facts, answers=answers)
    return Explanation(
        score=facts.score.value,
        solved=facts.score.solved,
        why=_verdict(facts),
        parts=tuple(_parts(told)),
        answers=answers,
        changes=tuple(_changes(facts)),
    )


def weights_of(settings_json: str) -> dict[str, float] | None:
    """The weights of the scorers in the stored settings of a run; None where they are not told."""
    try:
        found = msgspec.json.decode(settings_json, type=_Settings)
    except (msgspec.DecodeError, UnicodeError):
        return None
    return found.rewards.weights or None


class _Rewards(msgspec.Struct):
    weights: dict[str, float] = msgspec.field(default_factory=dict[str, float])


class _Settings(msgspec.Struct):
    rewards: _Rewards = msgspec.field(default_factory=_Rewards)


class _Told(Record):
    facts: Facts
    answers: tuple[Answer, ...]


def _verdict(facts: Facts) -> str:
    outcome = facts.outcome
    if not outcome.status.is_scored:
        return "not scored: the sandbox or a scorer failed, not the program"
    if facts.score.solved:
        return "solved: every test passed, no constraint is broken, and the program ended well"
    faults = [
        *([f"{_failed(outcome)} of {len(outcome.cases)} tests failed"] if _failed(outcome) else []),
        *([] if outcome.cases else ["there was no test"]),
        *([f"the program ended with {outcome.status}"] if outcome.status != "success" else []),
        *outcome.violations,
    ]
    return f"not solved: {'; '.join(faults)}"


def _failed(outcome: Outcome) -> int:
    return len(outcome.cases) - outcome.passed


def _parts(told: _Told) -> Iterator[Part]:
    parts, weights = told.facts.score.parts, told.facts.weights
    own = scorers_of(parts)
    total = 0.0 if weights is None else sum(weight_of(name, weights) for name in own)
    for name, value in parts.items():
        if name.startswith(SHAPED):
            continue
        weight = None if weights is None else weight_of(name, weights)
        is_in = total > 0.0 and name in own  # novelty comes in later, as a step
        yield Part(
            scorer=name,
            value=value,
            weight=weight,
            contribution=weight * value / total if weight is not None and is_in else None,
            why=_REASONS[name](told) if name in _REASONS else "",
        )


def _changes(facts: Facts) -> Iterator[Change]:
    score = facts.score
    start = score.parts.get(START, score.value)
    if facts.weights is not None and score.parts:
        yield from _to_start(facts, weighted_mean(scorers_of(score.parts), facts.weights), start)
    before = start
    for name, after in score.parts.items():
        step = name.removeprefix(SHAPED)
        if name.startswith(SHAPED) and step in _STEPS:
            yield Change(step=step, before=before, after=after, why=_STEPS[step](facts, before == after))
            before = after


def _to_start(facts: Facts, mean: float, start: float) -> Iterator[Change]:
    if facts.score.solved:
        yield Change(step="solved", before=mean, after=start, why="a solution scores 1, whatever its parts")
        return
    value = mean
    if value > UNSOLVED_CEILING:
        why = f"what is not solved scores at most {UNSOLVED_CEILING:g}"
        yield Change(step="ceiling", before=value, after=UNSOLVED_CEILING, why=why)
        value = UNSOLVED_CEILING
    if abs(start - value) > _ROUNDING:
        refused = [
            each for each in facts.outcome.violations if each.startswith("does not solve the instance")
        ]
        why = "; ".join(refused) or "not told by what is stored"
        yield Change(step="instances", before=value, after=start, why=why)


def _schedule(facts: Facts, is_same: bool) -> str:
    share = facts.score.parts.get(FORM_SHARE)
    if facts.score.solved or share is None:
        return "changes no solution"
    return f"the form of a program counted {share:.0%}, what it does {1.0 - share:.0%}"


def _novelty_step(facts: Facts, is_same: bool) -> str:
    return "changes no solution" if facts.score.solved else f"one more scorer: {_times(facts)}"


def _plateau(facts: Facts, is_same: bool) -> str:
    if facts.score.solved:
        return "changes no solution"
    return (
        "no plateau"
        if is_same
        else "the task is on a plateau: distances from its running mean were stretched"
    )


def _normal(facts: Facts, is_same: bool) -> str:
    if facts.score.solved:
        return "changes no solution"
    return "no earlier group" if is_same else "placed by the running mean and spread of the task"


def _price(facts: Facts, is_same: bool) -> str:
    return f"price of a duplicate: {_times(facts)}"


_STEPS: dict[str, Callable[[Facts, bool], str]] = {
    "schedule": _schedule,
    "novelty": _novelty_step,
    "plateau": _plateau,
    "normal": _normal,
    "price": _price,
}


def _times(facts: Facts) -> str:
    value = facts.score.parts.get(NOVELTY, 0.0)
    times = round(1.0 / value - 1.0) if value > 0.0 else 0
    return (
        f"proposed {times} {'time' if times == 1 else 'times'} before for this task"
        if times
        else "new for this task"
    )


def _answers(facts: Facts) -> Iterator[Answer]:
    for place, case in enumerate(facts.outcome.cases):
        expected = _expected(facts.task, place, len(facts.outcome.cases))
        near = _near(facts.task, case, expected)
        yield Answer(
            test=place + 1,
            passed=case.passed,
            hidden=case.hidden,
            near=near,
            why=_answer_words(case, expected, near),
        )


def _expected(task: Task | None, place: int, tests: int) -> str:
    """What a test expects as JSON text; "" where that is not stored."""
    return task.cases[place].expected if task is not None and len(task.cases) == tests else ""


def _near(task: Task | None, case: CaseResult, expected: str) -> float | None:
    if case.passed:
        return 1.0
    if not case.got:
        return 0.0
    is_answer, got = output.parse(case.got)
    is_known, wanted = output.parse(expected)
    if task is None or not (is_answer and is_known):
        return None
    if task.kind is Kind.STDOUT and isinstance(got, str) and isinstance(wanted, str):
        return output.text_closeness(got, wanted)
    return output.closeness(got, wanted)


def _answer_words(case: CaseResult, expected: str, near: float | None) -> str:
    if case.passed:
        return "passed"
    wanted = f", expected {_short(expected)}" if expected else ""
    if not case.got:
        return f"no answer{wanted}"
    return f"gave {_short(case.got)}{wanted}{'' if near is None else f', {near:.2f} near'}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."


def _tests(told: _Told) -> str:
    cases = told.facts.outcome.cases
    failed = [f"{each.test}{' (hidden)' if each.hidden else ''}" for each in told.answers if not each.passed]
    return f"{told.facts.outcome.passed} of {len(cases)} tests passed" + (
        f"; not {', '.join(failed)}" if failed else ""
    )


def _status(told: _Told) -> str:
    outcome = told.facts.outcome
    lines = outcome.stderr.strip().splitlines() if outcome.status != "success" else []
    return f"it ended with {outcome.status}" + (f": {_short(lines[-1])}" if lines else "")


def _output(told: _Told) -> str:
    nears = [
        f"test {each.test} {each.near:.2f}"
        for each in told.answers
        if each.near is not None and not each.passed
    ]
    return f"mean nearness of the answers{'; ' if nears else ''}{', '.join(nears)}"


def _constraints(told: _Told) -> str:
    return "; ".join(told.facts.outcome.violations) or "no constraint is broken"


def _syntax(told: _Told) -> str:
    value = told.facts.score.parts["syntax"]
    return "it parses" if value == 1.0 else f"it does not parse after {min(2.0 * value, 1.0):.0%} of it"


def _execution(told: _Told) -> str:
    cases = told.facts.outcome.cases
    return f"{sum(bool(case.got) for case in cases)} of {len(cases)} tests got an answer"


def _length(told: _Told) -> str:
    return f"{len(told.facts.code)} characters"


_REASONS: dict[str, Callable[[_Told], str]] = {
    "tests": _tests,
    "status": _status,
    "output": _output,
    "constraints": _constraints,
    "length": _length,
    "syntax": _syntax,
    "execution": _execution,
    "structure": _constraints,
    "description": lambda _: "overlap of what it is made of with what the words of the task ask for",
    "reference": lambda _: "overlap of what it is made of with what the reference is made of",
    "format": lambda _: "how well the tags around thoughts and answer are kept",
    NOVELTY: lambda told: _times(told.facts),
}
