"""Source text of no task: every function of it is read, whatever it is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import LanguageError
from altlas_agent.languages.encode.parts import encode_parts
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from altlas_agent.languages.encode.encode import Encoded

MODULE = """
import math

def total(xs, text):
    found = 0
    for x in xs:
        found += x * 7
    return found + len(text)

class Shape:
    def area(self, w):
        return w ** 4

def many(a, b, c, d, e):
    return e
"""


def _names(encoded: Encoded) -> str:
    return " ".join(vocabulary().tokens[token].name if token >= 0 else "UNK" for token in encoded.tokens)


def test_each_function_is_read_by_itself_with_literals_of_its_own() -> None:
    total, area, many, rest = encode_parts("python", MODULE)
    assert "UPDATE VAR_0 ADD VAR_0 MUL VAR_1 NUM_0" in _names(total)
    assert total.is_whole
    assert [unknown.shape for unknown in area.unknown] == ["{0}**{1}"]
    assert not many.is_whole
    assert [unknown.shape for unknown in rest.unknown] == ["import math"]


def test_what_stands_in_the_holes_of_a_form_is_told_as_far_as_it_is_known() -> None:
    code = "def f(a):\n    n = 1\n    return (n + 2) << len(a)\n"
    [encoded] = encode_parts("python", code)
    assert encoded.unknown[0].holes == ("num", "num")


def test_functions_of_the_other_language_are_read_as_well() -> None:
    code = "class A { f(x) { return 1 } }\nconst g = (x) => x + 1;\nfunction h(x) { return x >> 1 }\n"
    found = list(encode_parts("javascript", code))
    assert [encoded.is_whole for encoded in found] == [True, False]


def test_source_that_does_not_parse_is_refused() -> None:
    with pytest.raises(LanguageError, match="does not parse as python"):
        list(encode_parts("python", "def ("))
