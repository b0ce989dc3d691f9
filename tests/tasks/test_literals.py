"""Numbers and quoted texts of a description, in order: they are what programs can use."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.tasks.files.literals import numbers_of, strings_of


@pytest.mark.parametrize(
    ("description", "numbers"),
    [
        ("Print the sum of 5 and 3.", (5, 3)),
        ("Print 5.", (5,)),
        ("from 1 to 10, then 1 again", (1, 10, 1)),
        ("-5 and (-6) but 3-4 and a - 7", (-5, -6, 3, 4, 7)),
        ("a 5-letter word", (5,)),
        ("[1,2, 3]", (1, 2, 3)),
        ("1..20", (1, 20)),
        ("f(x2) of v1 and the 2nd", ()),
        ("not 3.5, not .5x", ()),
        ("007 and 5%", (7, 5)),
        ("'7' is text, \"8\" too, 9 is none", (9,)),
        ("", ()),
    ],
)
def test_numbers_are_whole_words_outside_quotes(description: str, numbers: tuple[int, ...]) -> None:
    assert numbers_of(description) == numbers


@pytest.mark.parametrize(
    ("description", "strings"),
    [
        ("Print 'hello' joined with 'world'.", ("hello", "world")),
        ("Print \"a b\" then 'c'", ("a b", "c")),
        ("don't use the words' lengths, it's 'x'", ("x",)),
        ("'don't' is one text", ("don't",)),
        ('"it\'s" and \'say "hi"\'', ("it's", 'say "hi"')),
        ("'hello ' keeps its space, '' is empty", ("hello ", "")),
        ("a lone ' is nothing", ()),
        ("'not over\nlines'", ()),
    ],
)
def test_strings_stand_between_quotes(description: str, strings: tuple[str, ...]) -> None:
    assert strings_of(description) == strings


@given(st.lists(st.integers(min_value=-(10**9), max_value=10**9), max_size=5))
def test_every_number_that_was_put_in_comes_out(numbers: list[int]) -> None:
    assert numbers_of("take " + " and ".join(map(str, numbers))) == tuple(numbers)


@given(st.lists(st.text("abc XYZ-_.,0189", max_size=8), max_size=5))
def test_every_text_that_was_put_in_comes_out(texts: list[str]) -> None:
    assert strings_of("take " + " and ".join(f"'{text}'" for text in texts)) == tuple(texts)
