"""Which tokens are blamed."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.records import Fault, Place, ToolFeedback, Trace
from altlas_agent.languages.render import render_with_spans
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.sandbox.advice.blame import EXECUTED, blame
from tests.languages.programs import random_tokens, task_of

PROGRAM = (
    "FUNC_DEF FUNC_0 BLOCK_START "
    "ASSIGN VAR_0 INT_1 "
    "IF GT ARG_0 INT_10 BLOCK_START UPDATE VAR_0 INT_2 BLOCK_END "
    "RETURN INT_DIV VAR_0 SUB ARG_0 ARG_0 BLOCK_END END"
)
SOURCE = """def solve(p0):
    v0 = 1
    if p0 > 10:
        v0 = 2
    return v0 // (p0 - p0)
"""
REACHED = Trace(lines=((1, 1), (2, 1), (3, 1), (5, 1)))


def _blamed(feedback: ToolFeedback, trace: Trace | None = None) -> dict[str, float]:
    """Weights by token name; a name that occurs twice has the last weight."""
    tokens = vocabulary().numbers(PROGRAM)
    rendered = render_with_spans(task_of(params=("num",)), tokens)
    assert rendered.code == SOURCE
    weights = blame(rendered.spans, feedback, trace)
    return dict(zip(vocabulary().names(tokens), weights, strict=True))


def _fault(fault: Fault, line: int = 0, column: int = 0) -> ToolFeedback:
    return ToolFeedback(fault=fault, severity=0.5, line=line, column=column)


def test_the_smallest_span_around_the_error_is_blamed_and_less_and_less_outwards() -> None:
    place = Place(line=5, column=12, end_line=5, end_column=27)
    blamed = _blamed(_fault(Fault.ZERO_DIVISION, 5), Trace(lines=REACHED.lines, place=place))
    assert blamed["INT_DIV"] == blamed["SUB"] == blamed["VAR_0"] == 1.0
    assert blamed["RETURN"] == 0.5
    assert blamed["IF"] == 0.25
    assert blamed["FUNC_DEF"] == 0.125


def test_a_column_alone_points_to_a_leaf() -> None:
    blamed = _blamed(_fault(Fault.NAME, 5, 12))
    assert blamed["VAR_0"] == 1.0
    assert blamed["INT_DIV"] == 0.5
    assert blamed["SUB"] == 0.5
    assert blamed["RETURN"] == 0.25


def test_a_line_alone_blames_what_starts_on_it_but_not_its_body() -> None:
    blamed = _blamed(_fault(Fault.TYPE, 3))
    assert blamed["IF"] == blamed["GT"] == blamed["INT_10"] == 1.0
    assert blamed["UPDATE"] == EXECUTED
    assert blamed["RETURN"] < 1.0


def test_what_was_never_reached_is_not_blamed() -> None:
    blamed = _blamed(_fault(Fault.WRONG_ANSWER), REACHED)
    assert blamed["UPDATE"] == blamed["INT_2"] == 0.0
    assert blamed["RETURN"] == blamed["IF"] == EXECUTED


def test_without_a_trace_every_token_of_a_wrong_answer_is_a_little_to_blame() -> None:
    assert set(_blamed(_fault(Fault.WRONG_ANSWER)).values()) == {EXECUTED}


def test_too_much_of_something_is_blamed_on_the_lines_reached_most() -> None:
    hot = Trace(lines=((1, 1), (2, 1), (3, 1000), (4, 500)), complete=False)
    blamed = _blamed(_fault(Fault.CPU), hot)
    assert blamed["IF"] == 1.0
    assert blamed["UPDATE"] == 0.5
    assert blamed["RETURN"] == 0.0


@pytest.mark.parametrize("fault", [Fault.NONE, Fault.INFRASTRUCTURE, Fault.REFUSED])
def test_nobody_is_blamed_where_the_program_is_not_at_fault(fault: Fault) -> None:
    assert set(_blamed(_fault(fault, 2), REACHED).values()) == {0.0}


def test_a_place_outside_the_program_blames_everyone_a_little() -> None:
    assert set(_blamed(_fault(Fault.SYNTAX, 99, 5)).values()) == {EXECUTED}


PLACES = st.none() | st.builds(
    Place,
    line=st.integers(0, 12),
    column=st.integers(0, 60),
    end_line=st.integers(0, 12),
    end_column=st.integers(0, 60),
)
TRACES = st.none() | st.builds(
    Trace,
    lines=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 99)), max_size=9).map(tuple),
    place=PLACES,
    complete=st.booleans(),
)


@given(
    seed=st.integers(0, 2**32),
    fault=st.sampled_from(Fault),
    place=st.tuples(st.integers(0, 20), st.integers(0, 90)),
    trace=TRACES,
    language=st.sampled_from(["python", "javascript"]),
)
def test_there_is_a_weight_between_0_and_1_for_each_token_whatever_is_told(
    *, seed: int, fault: Fault, place: tuple[int, int], trace: Trace | None, language: str
) -> None:
    task = task_of(params=("num", "list", "str"), language=language, max_tokens=32)
    tokens = random_tokens(task, random.Random(seed))
    spans = render_with_spans(task, tokens).spans
    weights = blame(spans, _fault(fault, *place), trace)
    assert len(weights) == len(tokens)
    assert all(0.0 <= weight <= 1.0 for weight in weights)
