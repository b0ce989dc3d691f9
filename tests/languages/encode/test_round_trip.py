"""What was rendered is read back: the templates of the language maps, turned round."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altlas_agent.core.records import Kind, Task
from altlas_agent.languages.encode.encode import encode
from altlas_agent.languages.encode.rules import READERS, rules
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.grammar import TYPES, check
from altlas_agent.languages.tokens.maps import languages
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.tasks.loader import load_suite, shipped_suites
from tests.languages.programs import random_tokens, task_of

TASKS = st.builds(
    task_of,
    params=st.lists(st.sampled_from(TYPES), max_size=4).map(tuple),
    returns=st.sampled_from(TYPES),
    kind=st.sampled_from(list(Kind)),
    max_tokens=st.integers(min_value=8, max_value=40),
    language=st.sampled_from(languages()),
)
# An empty list is written like an empty list of words: where nothing else tells, either may be read back.
ALIKE = frozenset({"EMPTY_LIST", "EMPTY_WORDS"})


@settings(max_examples=300, deadline=None)
@given(task=TASKS, seed=st.integers(min_value=0, max_value=2**32))
def test_a_program_that_was_rendered_is_read_back_token_by_token(task: Task, seed: int) -> None:
    tokens = random_tokens(task, random.Random(seed))
    code = render(task, tokens)
    encoded = encode(task, code)
    assert encoded.is_whole, encoded.unknown
    assert render(task, encoded.tokens) == code
    if not ALIKE.intersection(vocabulary().names(tokens)):
        assert encoded.tokens == tokens


@settings(max_examples=100, deadline=None)
@given(task=TASKS, seed=st.integers(min_value=0, max_value=2**32), number=st.sampled_from([0, 1, 2, 10]))
def test_literals_that_are_equal_are_read_as_the_first_slot_that_has_them(
    task: Task, seed: int, number: int
) -> None:
    task = msgspec.structs.replace(task, numbers=(number, number), strings=("", "", " "))
    tokens = random_tokens(task, random.Random(seed))
    code = render(task, tokens)
    encoded = encode(task, code)
    assert encoded.is_whole, encoded.unknown
    assert render(task, encoded.tokens) == code
    assert encode(task, render(task, encoded.tokens)) == encoded
    assert not {"NUM_1", "STR_1"}.intersection(vocabulary().names(encoded.tokens))


@settings(max_examples=60, deadline=None)
@given(task=TASKS, seed=st.integers(min_value=0, max_value=2**32))
def test_what_is_read_from_one_language_is_the_same_program_in_the_other(task: Task, seed: int) -> None:
    tokens = random_tokens(task, random.Random(seed))
    if ALIKE.intersection(vocabulary().names(tokens)):
        return
    read = {
        encode(twin, render(twin, tokens)).tokens
        for twin in (msgspec.structs.replace(task, target_language=name) for name in READERS)
    }
    assert read == {tokens}


@pytest.mark.parametrize("suite", shipped_suites())
def test_every_shipped_reference_is_said_whole_and_as_the_grammar_has_it(suite: str) -> None:
    for entry in load_suite(suite).entries:
        task = entry.instance()
        encoded = encode(task, task.reference)
        assert encoded.is_whole, (task.id, encoded.unknown)
        room = msgspec.structs.replace(task.constraints, max_tokens=100)
        check(msgspec.structs.replace(task, constraints=room), encoded.tokens)


@pytest.mark.parametrize("name", READERS)
def test_every_template_and_every_idiom_can_be_read_by_its_own_language(name: str) -> None:
    said = [rule.says.token for made in rules(name).values() for rule in made]
    assert set(vocabulary().number) >= {token for token in said if token}
