"""How identifiers and blocks are laid out in tokens, and what the numbers of tokens promise."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altlas_agent.core.errors import LanguageError
from altlas_agent.core.records import Kind, Task
from altlas_agent.languages.encode.encode import encode
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.grammar import MAX_LITERALS, MAX_VARIABLES, TYPES
from altlas_agent.languages.tokens.vocabulary import vocabulary
from tests.languages.programs import random_tokens, task_of

V = vocabulary()
TASKS = st.builds(
    task_of,
    params=st.lists(st.sampled_from(TYPES), max_size=4).map(tuple),
    returns=st.sampled_from(TYPES),
    kind=st.sampled_from(list(Kind)),
    max_tokens=st.integers(min_value=12, max_value=40),
)


def _slots(prefix: str) -> list[str]:
    return [token.name for token in V.tokens if token.name.startswith(prefix)]


def test_numbers_that_are_stored_with_attempts_never_change() -> None:
    """Add new tokens at the end of this list as well; to move or remove one breaks every stored attempt."""
    first = "END BLOCK_START BLOCK_END FUNC_DEF RETURN OUTPUT ASSIGN UPDATE IF IF_ELSE FOR_RANGE FOR_EACH"
    assert V.numbers(first) == tuple(range(12))
    marks = {"FUNC_0": 14, "VAR_0": 19, "NUM_0": 23, "STR_0": 31, "ADD": 41, "EQ": 59, "CONCAT": 73}
    assert {name: V.number[name] for name in marks} == marks
    assert V.number["APPEND_WORD"] == 95
    assert len(V) >= 96


@pytest.mark.parametrize(
    ("prefix", "count"),
    [("FUNC_0", 1), ("ARG_", 4), ("VAR_", MAX_VARIABLES), ("NUM_", MAX_LITERALS), ("STR_", MAX_LITERALS)],
)
def test_slots_are_numbered_from_0_without_a_gap(prefix: str, count: int) -> None:
    names = _slots(prefix)
    assert len(names) == count
    assert names == sorted(names)
    assert [V.number[name] for name in names] == list(range(V.number[names[0]], V.number[names[0]] + count))


def test_slots_have_no_syntax_of_their_own_and_all_other_tokens_have() -> None:
    from altlas_agent.languages.tokens.maps import language_map, languages

    slots = re.compile(r"(FUNC|ARG|VAR|NUM|STR)_\d|END|BLOCK_START|BLOCK_END")
    for name in languages():
        assert {t.name for t in V.tokens if not slots.fullmatch(t.name)} == set(language_map(name).tokens)


@settings(max_examples=150, deadline=None)
@given(task=TASKS, seed=st.integers(min_value=0, max_value=2**32))
def test_blocks_are_balanced_and_the_end_stands_once_at_the_end(task: Task, seed: int) -> None:
    names = V.names(random_tokens(task, random.Random(seed)))
    depth = 0
    for name in names:
        depth += {"BLOCK_START": 1, "BLOCK_END": -1}.get(name, 0)
        assert depth >= 0
    assert depth == 0
    assert names.index("END") == len(names) - 1


@settings(max_examples=150, deadline=None)
@given(task=TASKS, seed=st.integers(min_value=0, max_value=2**32))
def test_a_function_is_a_block_that_ends_with_a_return(task: Task, seed: int) -> None:
    names = V.names(random_tokens(task, random.Random(seed)))
    if task.kind is Kind.FUNCTION:
        assert names[:3] == ("FUNC_DEF", "FUNC_0", "BLOCK_START")
        assert names[-2:] == ("BLOCK_END", "END")
        assert "RETURN" in names
    else:
        assert not {"FUNC_DEF", "FUNC_0", "RETURN"}.intersection(names)


def test_a_variable_has_the_slot_of_how_many_are_around_it() -> None:
    task = task_of(kind=Kind.STDOUT, numbers=(5,))
    code = "first = 5\nfor each in range(1, 5 + 1):\n    inner = each\nafter = 1\n"
    names = V.names(encode(task, code).tokens)
    assert " ".join(names) == (
        "ASSIGN VAR_0 NUM_0 FOR_RANGE VAR_1 INT_1 NUM_0 BLOCK_START ASSIGN VAR_2 VAR_1 BLOCK_END "
        "ASSIGN VAR_1 INT_1 END"
    )


@pytest.mark.parametrize("names", [("total", "x"), ("x", "total"), ("solve_", "v7")])
def test_programs_that_differ_in_names_only_have_the_same_tokens(names: tuple[str, str]) -> None:
    task = task_of(params=("list",))
    total, each = names
    code = f"def solve(q):\n  {total} = 0\n  for {each} in q:\n    {total} += {each}\n  return {total}"
    assert encode(task, code).tokens == V.numbers(
        "FUNC_DEF FUNC_0 BLOCK_START ASSIGN VAR_0 INT_0 FOR_EACH VAR_1 ARG_0 BLOCK_START "
        "UPDATE VAR_0 ADD VAR_0 VAR_1 BLOCK_END RETURN VAR_0 BLOCK_END END"
    )


def test_the_same_tokens_are_the_program_of_every_instance_of_a_family() -> None:
    tokens = V.numbers("OUTPUT ADD NUM_0 NUM_1 END")
    assert render(task_of(kind=Kind.STDOUT, numbers=(30, 4)), tokens) == "print(30 + 4)\n"
    assert render(task_of(kind=Kind.STDOUT, numbers=(7, -1)), tokens) == "print(7 + -1)\n"


@pytest.mark.parametrize("stray", [-1, len(V), 10**6])
def test_a_number_that_no_token_has_is_refused_and_not_taken_for_another(stray: int) -> None:
    with pytest.raises(LanguageError, match=f"{stray} is the number of no token"):
        render(task_of(kind=Kind.STDOUT), (V.number["OUTPUT"], stray, V.number["END"]))


def test_every_token_has_one_role_and_no_name_twice() -> None:
    assert len({token.name for token in V.tokens}) == len(V)
    assert all(token.role for token in V.tokens)


def test_nothing_that_is_shipped_is_retired() -> None:
    assert V.retired() == ()
