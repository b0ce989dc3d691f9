"""Where each token's text lies."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.records import Kind, Task
from altlas_agent.languages.render import Rendered, Span, render, render_with_spans
from altlas_agent.languages.tokens.tree import BLOCK, Node, parse
from altlas_agent.languages.tokens.vocabulary import vocabulary
from tests.languages.programs import random_tokens, task_of

LANGUAGES = ("python", "javascript")


def text_at(rendered: Rendered, span: Span) -> str:
    lines = rendered.code.split("\n")[span.start_line - 1 : span.end_line]
    lines[-1] = lines[-1][: span.end_column - 1]
    return "\n".join(lines)[span.start_column - 1 :]


@st.composite
def programs(draw: st.DrawFn) -> tuple[Task, tuple[int, ...]]:
    returns = draw(st.sampled_from(["num", "str", "bool", "list"]))
    language = draw(st.sampled_from(LANGUAGES))
    task = task_of(params=("num", "list", "str"), returns=returns, language=language, max_tokens=40)
    return task, random_tokens(task, random.Random(draw(st.integers(0, 2**32))))


def _inside(inner: Span, outer: Span) -> bool:
    return outer[:2] <= inner[:2] and inner[2:] <= outer[2:]


def _families(node: Node) -> list[tuple[int, list[int]]]:
    """The place of each node with those of its children."""
    place = node.last if node.token == BLOCK else node.first
    places = [child.last if child.token == BLOCK else child.first for child in node.children]
    return [(place, places), *(family for child in node.children for family in _families(child))]


@given(programs())
def test_every_token_has_a_span_and_the_text_is_that_of_render(drawn: tuple[Task, tuple[int, ...]]) -> None:
    task, tokens = drawn
    rendered = render_with_spans(task, tokens)
    assert rendered.code == render(task, tokens)
    assert len(rendered.spans) == len(tokens)


@given(programs())
def test_the_text_of_a_token_lies_inside_that_of_its_parent(drawn: tuple[Task, tuple[int, ...]]) -> None:
    task, tokens = drawn
    spans = render_with_spans(task, tokens).spans
    for parent, children in _families(parse(tokens)):
        assert all(_inside(spans[child], spans[parent]) for child in children)


@given(programs())
def test_the_spans_of_two_tokens_nest_or_lie_apart(drawn: tuple[Task, tuple[int, ...]]) -> None:
    task, tokens = drawn
    spans = render_with_spans(task, tokens).spans
    for one in spans:
        for other in spans:
            apart = one[2:] <= other[:2] or other[2:] <= one[:2]
            assert apart or _inside(one, other) or _inside(other, one)


@given(programs())
def test_the_end_token_covers_the_whole_program(drawn: tuple[Task, tuple[int, ...]]) -> None:
    task, tokens = drawn
    rendered = render_with_spans(task, tokens)
    assert text_at(rendered, rendered.spans[-1]) == rendered.code.rstrip("\n")


@given(programs())
def test_names_and_numbers_are_found_where_their_spans_say(drawn: tuple[Task, tuple[int, ...]]) -> None:
    task, tokens = drawn
    rendered = render_with_spans(task, tokens)
    for token, span in zip(vocabulary().names(tokens), rendered.spans, strict=True):
        text = text_at(rendered, span)
        kind, _, number = token.rpartition("_")
        if kind == "VAR":
            assert text == f"v{number}"
        elif kind == "ARG":
            assert text == f"p{number}"
        elif kind == "INT" and number.isdigit():
            assert text == number


@pytest.mark.parametrize(
    ("language", "texts"),
    [
        ("python", ["if True:\n    print(1 + 2)", "True", "print(1 + 2)", "print(1 + 2)", "1 + 2"]),
        (
            "javascript",
            [
                "if (true) {\n  console.log(1 + 2);\n}",
                "true",
                "console.log(1 + 2);",
                "console.log(1 + 2);",
                "1 + 2",
            ],
        ),
    ],
)
def test_a_block_token_stands_for_its_statements(language: str, texts: list[str]) -> None:
    tokens = vocabulary().numbers("IF TRUE BLOCK_START OUTPUT ADD INT_1 INT_2 BLOCK_END END")
    rendered = render_with_spans(task_of(kind=Kind.STDOUT, language=language), tokens)
    assert [text_at(rendered, span) for span in rendered.spans[:5]] == texts


def test_brackets_lie_outside_the_token_that_needs_them() -> None:
    tokens = vocabulary().numbers("OUTPUT MUL ADD INT_1 INT_2 INT_10 END")
    rendered = render_with_spans(task_of(kind=Kind.STDOUT), tokens)
    assert text_at(rendered, rendered.spans[1]) == "(1 + 2) * 10"
    assert text_at(rendered, rendered.spans[2]) == "1 + 2"
