"""What a program is made of."""

from __future__ import annotations

import pytest

from altlas_agent.core.records import Constraints
from altlas_agent.languages.base import violations
from altlas_agent.languages.build import LANGUAGES

PYTHON = 'def f(a):\n    for v in a:\n        if v % 2 == 0 and v > -3:\n            return "yes"\n    return [len(a)]\n'
JAVASCRIPT = (
    "function f(a) { for (const v of a) { if (v % 2 === 0 && v > -3) { return 'yes'; } } return [a.length]; }"
)


@pytest.mark.parametrize(("language", "code"), [("python", PYTHON), ("javascript", JAVASCRIPT)])
def test_both_languages_speak_of_the_same_things(language: str, code: str) -> None:
    found = LANGUAGES[language].structure(code)
    assert found is not None
    assert {"%", "==", "and", ">"} <= found.operators
    assert {2.0, 0.0, -3.0} <= found.numbers
    assert found.strings == {"yes"}
    assert {"loop", "condition", "function", "return", "list"} <= found.constructs


@pytest.mark.parametrize(("language", "code"), [("python", "def ("), ("javascript", "let = = 3")])
def test_text_that_does_not_parse_has_no_structure(language: str, code: str) -> None:
    assert LANGUAGES[language].structure(code) is None


def test_each_broken_constraint_is_named() -> None:
    structure = LANGUAGES["python"].structure("print(8)")
    assert structure is not None
    rules = Constraints(
        require_operators=("+",), require_numbers=(5,), forbid_numbers=(8,), require_constructs=("loop",)
    )
    assert violations(structure, rules) == (
        "operator + is required",
        "number 5 is required",
        "number 8 is forbidden",
        "construct loop is required",
    )


def test_a_program_that_keeps_the_constraints_breaks_none() -> None:
    structure = LANGUAGES["python"].structure("print(5 + 3)")
    assert structure is not None
    assert violations(structure, Constraints(require_operators=("+",), require_numbers=(5, 3))) == ()
