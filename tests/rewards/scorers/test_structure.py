"""Rules that a program keeps, and the tags of an answer, graded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.records import Constraints, Pattern
from altlas_agent.rewards.scorers.structure import format_score, kept_share, read_tags, tag_count
from tests.rewards.conftest import double

GOOD = "<think>\nadd them\n</think>\n<answer>\n```python\nprint(1)\n```\n</answer>"


def is_program(text: str) -> bool:
    return text == "print(1)"


def test_the_share_counts_every_rule_and_the_patterns_once() -> None:
    constraints = Constraints(require_operators=("+",), forbid_numbers=(8, 9))
    task = double(constraints=constraints, patterns=(Pattern(regex="a"), Pattern(regex="b")))
    assert [kept_share(task, broken) for broken in range(6)] == [1.0, 0.75, 0.5, 0.25, 0.0, 0.0]


def test_a_task_without_rules_is_kept() -> None:
    assert kept_share(double(), 0) == 1.0


def test_a_right_pair_of_thoughts_without_an_answer_has_half_of_the_delimiters() -> None:
    assert tag_count("<think>\nhm\n</think>\n1") == 0.5


def test_a_delimiter_that_is_there_twice_does_not_count() -> None:
    assert tag_count(GOOD) == 1.0
    assert tag_count(f"<think>\n{GOOD}") == 0.75
    assert tag_count(GOOD * 2) == 0.0


@pytest.mark.parametrize(
    ("text", "graded"),
    [
        (GOOD, 1.0),
        ("print(1)", 1.0),
        ("no program", 0.0),
        (GOOD.replace("print(1)", "no program"), 0.75),
        ("<answer>print(1)</answer>", 0.75),
        ("<answer>print(1)</answer><think>late</think>", 0.75),
        ("well: " + GOOD, 0.75),
        (GOOD + "<answer>print(1)</answer>", 0.5),
        ("<think></think><answer></answer>", 0.0),
        ("<think>never closed", 0.0),
        ("</answer></think>", 0.0),
    ],
)
def test_a_format_is_graded(text: str, graded: float) -> None:
    assert format_score(text, is_program) == graded


@given(st.lists(st.sampled_from(["<think>", "</think>", "<answer>", "</answer>", "x", "\n"]), max_size=12))
def test_a_format_is_a_share_whatever_the_tags(pieces: list[str]) -> None:
    assert 0.0 <= format_score("".join(pieces), is_program) <= 1.0


def test_many_open_tags_are_read_at_once() -> None:
    assert not read_tags("<think>" * 100_000).balanced
