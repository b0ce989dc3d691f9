"""Answers from the jail: parsed with bounds, compared by type before value."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.rewards.output import (
    MAX_ANSWER_CHARS,
    MAX_DEPTH,
    closeness,
    equal,
    parse,
    same_text,
    text_closeness,
)

HUGE = 10**400
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**310, max_value=10**320)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda below: st.lists(below, max_size=5) | st.dictionaries(st.text(max_size=3), below, max_size=3),
    max_leaves=12,
)


def brief(value: object) -> str:
    return repr(value)[:20]


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (3, 3),
        (3.0, 3.0),
        (3, 3.0),
        (0.1 + 0.2, 0.3),
        (-0.0, 0.0),
        (True, True),
        (None, None),
        ("a", "a"),
        ("", ""),
        ([], []),
        ([1, [2, "x"], True], [1, [2, "x"], True]),
        ([1, 1], [1, 1]),
        ({"a": [1]}, {"a": [1]}),
        (HUGE, HUGE),
    ],
    ids=brief,
)
def test_these_are_equal(got: object, expected: object) -> None:
    assert equal(got, expected)  # type: ignore[arg-type]  # the table mixes every kind of value
    assert closeness(got, expected) == 1.0  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (True, 1),
        (1, True),
        (False, 0),
        (True, 1.0),
        (3.0, 3),
        (3.5, 3),
        ("3", 3),
        (3, "3"),
        (None, 0),
        (None, False),
        ("", None),
        ([], None),
        ([1], [True]),
        ([1.0], [1]),
        ([1], [1, 1]),
        ([1, 2], [2, 1]),
        ([[1]], [1]),
        (["1"], [1]),
        ("a", "A"),
        ("a", "a "),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ({}, []),
        (HUGE, HUGE + 1),
        (HUGE, 3),
        (3, HUGE),
        (HUGE, 1.5),
        (-HUGE, 1e308),
        (1e308, -1e308),
    ],
    ids=brief,
)
def test_these_differ_and_are_less_than_close(got: object, expected: object) -> None:
    assert not equal(got, expected)  # type: ignore[arg-type]  # the table mixes every kind of value
    assert 0.0 <= closeness(got, expected) < 1.0  # type: ignore[arg-type]  # as above


def test_nearer_answers_are_closer() -> None:
    assert closeness(9, 10) > closeness(5, 10) > closeness(-90, 10)
    assert closeness("hello", "hallo") > closeness("xyz", "hallo")
    assert closeness([1, 2, 4], [1, 2, 3]) > closeness([9, 9, 9], [1, 2, 3]) > closeness([], [1, 2, 3])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "NaN",
        "Infinity",
        "-Infinity",
        "[1, NaN]",
        "1e999",
        "[-1e999]",
        "{",
        "1 2",
        "'a'",
        "undefined",
        "9" * 5_000,
        '{"a": 1, "a": 1}',
        '[{"a": {"b": 1, "b": 2}}]',
        "[" * 100_000,
        "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
        '{"a":' * 900 + "1" + "}" * 900,
        '"' + "x" * MAX_ANSWER_CHARS + '"',
    ],
    ids=brief,
)
def test_this_is_no_answer(text: str) -> None:
    assert parse(text) == (False, None)


@pytest.mark.parametrize(
    "text",
    ["null", "0", '"[[[["', "1e300", "9" * 400, "[" * MAX_DEPTH + "]" * MAX_DEPTH, '{"a": 1, "b": 1}'],
    ids=brief,
)
def test_this_is_an_answer(text: str) -> None:
    assert parse(text) == (True, json.loads(text))


@given(VALUES)
def test_every_value_equals_itself(value: object) -> None:
    answered, parsed = parse(json.dumps(value))
    assert answered
    assert equal(parsed, parsed)
    assert closeness(parsed, parsed) == 1.0


@given(VALUES, VALUES)
def test_closeness_is_a_share_and_full_only_for_equals(one: object, other: object) -> None:
    (_, got), (_, expected) = parse(json.dumps(one)), parse(json.dumps(other))
    near = closeness(got, expected)
    assert 0.0 <= near <= 1.0
    assert (near == 1.0) == equal(got, expected)


@given(st.text(max_size=MAX_DEPTH * 3, alphabet='[]{}",:0123456789eE+-.nulltrefasNI '))
def test_no_text_breaks_the_parser(text: str) -> None:
    answered, value = parse(text)
    assert answered or value is None


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        ("8\n", "8"),
        ("8", "8\n\n"),
        ("a  \nb\t\n", "a\nb"),
        ("a\r\nb\r\n", "a\nb"),
        ("", "\n"),
        ("\na", "\na"),
    ],
)
def test_white_space_at_the_ends_of_lines_and_of_the_text_does_not_count(got: str, expected: str) -> None:
    assert same_text(got, expected)
    assert text_closeness(got, expected) == 1.0


@pytest.mark.parametrize(
    ("got", "expected"),
    [
        (" 8", "8"),
        ("8 8", "88"),
        ("8.0", "8"),
        ("08", "8"),
        ("a\n\nb", "a\nb"),
        ("\na", "a"),
        ("a\x0cb", "a\nb"),
        ("a\u2028b", "a\nb"),
        ("A", "a"),
        ("nan", "8"),
        ("nan", "nan!"),
        ("inf", "8"),
        ("8", "inf"),
        ("9" * 400, "8"),
        ("", "8"),
    ],
)
def test_other_text_is_not_the_same_and_less_than_close(got: str, expected: str) -> None:
    assert not same_text(got, expected)
    assert 0.0 <= text_closeness(got, expected) < 1.0


@given(st.text(max_size=30), st.text(max_size=30))
def test_closeness_of_texts_is_a_share_and_full_only_for_the_same(got: str, expected: str) -> None:
    near = text_closeness(got, expected)
    assert 0.0 <= near <= 1.0
    assert (near == 1.0) == same_text(got, expected)


def test_printed_numbers_are_compared_as_numbers() -> None:
    assert text_closeness("9", "10") > text_closeness("5", "10") > text_closeness("ten", "10")


def test_an_object_is_as_near_as_its_values() -> None:
    assert closeness({"a": 1, "b": 2}, {"a": 1, "b": 2}) == 1.0
    assert closeness({"a": 1, "b": 7}, {"a": 1, "b": 2}) > closeness({"a": 1}, {"a": 1, "b": 2})
    assert closeness({"c": 1}, {"a": 1}) == pytest.approx(0.1)
