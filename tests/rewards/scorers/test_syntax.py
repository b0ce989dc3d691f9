"""Whether a text is a program, and how far it is one, in each language."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.errors import LanguageError
from altlas_agent.languages.base import MAX_CODE_CHARS
from altlas_agent.rewards.scorers.syntax import BROKEN_MOST, syntax

PROGRAMS = {
    "python": "def f(x):\n    return x + 1\n",
    "javascript": "function f(x) { return x + 1; }\n",
    "loda": "mov $1,2\nadd $0,$1\n",
}
both = pytest.mark.parametrize("name", ["python", "javascript"])


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_one_in_its_language(name: str) -> None:
    assert syntax(name, PROGRAMS[name]) == 1.0


@both
def test_a_later_error_is_a_smaller_one(name: str) -> None:
    sound = {"python": "x = 1\n", "javascript": "x = 1;\n"}[name]
    early, late = syntax(name, f"= = {sound * 9}"), syntax(name, f"{sound * 9}= =")
    assert 0.0 <= early < late <= BROKEN_MOST


@both
@pytest.mark.parametrize("code", ["\ud800", "(" * 100_000, "x" * (MAX_CODE_CHARS + 1), "\x00"])
def test_a_hostile_text_is_no_program(name: str, code: str) -> None:
    assert syntax(name, code) <= BROKEN_MOST


@given(name=st.sampled_from(sorted(PROGRAMS)), code=st.text(max_size=60))
def test_whatever_is_written_has_a_share(name: str, code: str) -> None:
    assert 0.0 <= syntax(name, code) <= 1.0


def test_a_language_that_is_not_known_is_an_error() -> None:
    with pytest.raises(LanguageError, match="no language 'cobol'"):
        syntax("cobol", "")
