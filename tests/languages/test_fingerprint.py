"""Identity of programs under renaming and layout."""

from __future__ import annotations

import pytest

from altlas_agent.languages.fingerprint import fingerprint

SAME = [
    ("python", "def f(a):\n return a + 1", "def total(number):\n    # adds\n    return number + 1\n"),
    ("python", "x = 1\nprint(x)", "y=1\n\n\nprint( y )"),
    ("python", "print([v for v in range(3)])", "print([w for w in range(3)])"),
    ("javascript", "function f(a){return a+1}", "function  g(zz) {\n // adds\n return zz + 1;\n}"),
    ("javascript", "let a = 1; console.log(a)", "let b=1\nconsole.log(b)"),
    ("python", "def f(:", "def   f(:"),
]

DIFFERENT = [
    ("python", "print('A')", "print('a')"),
    ("python", "def f(a, b):\n return a - b", "def f(a, b):\n return b - a"),
    ("python", "print(max([1]))", "print(min([1]))"),
    ("python", "print(1)", "print(1.0)"),
    ("python", "print(True)", "print(true)"),
    ("javascript", "function f(a,b){return a-b}", "function f(a,b){return b-a}"),
    ("javascript", "console.log('A')", "console.log('a')"),
    ("javascript", "console.log(Math.max(1))", "console.log(Math.min(1))"),
    ("python", "x.Upper()", "x.upper()"),
]


@pytest.mark.parametrize(("language", "left", "right"), SAME)
def test_names_white_space_and_comments_do_not_count(language: str, left: str, right: str) -> None:
    assert fingerprint(language, left) == fingerprint(language, right)


@pytest.mark.parametrize(("language", "left", "right"), DIFFERENT)
def test_what_changes_the_meaning_counts_case_included(language: str, left: str, right: str) -> None:
    assert fingerprint(language, left) != fingerprint(language, right)


def test_the_language_is_part_of_the_identity() -> None:
    assert fingerprint("python", "f(1)") != fingerprint("javascript", "f(1)")


@pytest.mark.parametrize("hostile", ["(" * 5000, "\x00", "\ud800", "x" * 300_000, "1" + "+1" * 20_000])
@pytest.mark.parametrize("language", ["python", "javascript"])
def test_hostile_text_gets_an_identity_and_no_exception(language: str, hostile: str) -> None:
    assert len(fingerprint(language, hostile)) == 32
