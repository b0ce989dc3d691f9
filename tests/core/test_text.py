"""safe(): whatever a program printed, a terminal only ever sees printable text."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.text import safe

ANY_TEXT = st.text(
    st.characters(codec=None, categories=None) | st.sampled_from("\x1b\x9b\u202e\u200b\ud800\n\t\r")
)
HOSTILE_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, h\u00e9llo \u65e5\u672c \u2713", "plain text, h\u00e9llo \u65e5\u672c \u2713"),
        ("\x1b[31mred\x1b]0;title\x07", r"\x1b[31mred\x1b]0;title\x07"),
        ("C1 \x9b2J", r"C1 \x9b2J"),
        ("over\rwritten", r"over\x0dwritten"),
        ("evil\u202etxt.exe", r"evil\u202etxt.exe"),
        ("zero\u200bwidth", r"zero\u200bwidth"),
        ("one\u2028two", r"one\u2028two"),
        ("lone \udcff surrogate", r"lone \udcff surrogate"),
        ("tag \U000e0041", r"tag \U000e0041"),
        ("a\n\tb", "a\n\tb"),
        ("not utf-8: \ufffd", "not utf-8: \ufffd"),
    ],
)
def test_hostile_characters_are_shown_and_others_are_kept(text: str, shown: str) -> None:
    assert safe(text) == shown


def test_one_line_stays_one_line_when_asked() -> None:
    assert safe("a\n\tb", keep_newlines=False) == r"a\n\tb"


@pytest.mark.parametrize(
    ("max_chars", "shown"), [(0, ""), (2, "he"), (3, "hel"), (4, "h..."), (5, "hello"), (9, "hello")]
)
def test_long_text_is_cut(max_chars: int, shown: str) -> None:
    assert safe("hello", max_chars=max_chars) == shown


@given(ANY_TEXT, st.booleans())
def test_nothing_comes_out_that_steers_a_terminal(text: str, keep_newlines: bool) -> None:
    allowed = "\n\t" if keep_newlines else ""
    shown = safe(text, keep_newlines=keep_newlines)
    assert not [c for c in shown if unicodedata.category(c) in HOSTILE_CATEGORIES and c not in allowed]


@given(ANY_TEXT)
def test_it_can_be_written_as_utf_8(text: str) -> None:
    assert safe(text).encode("utf-8")[:0] == b""


@given(ANY_TEXT, st.none() | st.integers(0, 12), st.booleans())
def test_a_second_pass_changes_nothing_and_the_length_holds(
    text: str, max_chars: int | None, lines: bool
) -> None:
    once = safe(text, max_chars=max_chars, keep_newlines=lines)
    assert safe(once, max_chars=max_chars, keep_newlines=lines) == once
    assert max_chars is None or len(once) <= max_chars
