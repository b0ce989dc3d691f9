"""The abstract grammar: whatever it lets a policy write is a program in every language."""

from __future__ import annotations

import ast
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altlas_agent.core.errors import LanguageError
from altlas_agent.core.records import Constraints, Kind, Task
from altlas_agent.languages.build import LANGUAGES
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.grammar import TYPES, check, grammar_of, shape_of
from altlas_agent.languages.tokens.maps import language_map, languages
from altlas_agent.languages.tokens.tree import parse
from altlas_agent.languages.tokens.vocabulary import vocabulary
from tests.languages.programs import random_tokens, task_of

TASKS = st.builds(
    task_of,
    params=st.lists(st.sampled_from(TYPES), max_size=4).map(tuple),
    returns=st.sampled_from(TYPES),
    kind=st.sampled_from(list(Kind)),
    max_tokens=st.integers(min_value=8, max_value=40),
)


@settings(max_examples=300, deadline=None)
@given(task=TASKS, seed=st.integers(min_value=0, max_value=2**32))
def test_every_complete_sequence_parses_in_both_languages(task: Task, seed: int) -> None:
    tokens = random_tokens(task, random.Random(seed))
    for name in languages():
        code = render(task_of_language(task, name), tokens)
        assert LANGUAGES[name].structure(code) is not None, code


def task_of_language(task: Task, name: str) -> Task:
    signature = task.signature
    params = tuple(param.type for param in signature.params) if signature else ()
    returns = signature.returns if signature else "num"
    return task_of(params=params, returns=returns, kind=task.kind, language=name)


@settings(max_examples=300, deadline=None)
@given(task=TASKS, seed=st.integers(min_value=0, max_value=2**32))
def test_no_program_is_longer_than_the_task_allows(task: Task, seed: int) -> None:
    tokens = random_tokens(task, random.Random(seed))
    assert len(tokens) <= task.constraints.max_tokens
    check(task, tokens)


@settings(max_examples=200, deadline=None)
@given(task=TASKS, seed=st.integers(min_value=0, max_value=2**32))
def test_python_programs_use_only_the_names_that_they_give(task: Task, seed: int) -> None:
    code = render(task, random_tokens(task, random.Random(seed)))
    params = {param.name for param in task.signature.params} if task.signature else set()
    loaded = {
        n.id for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)
    }
    stored = {
        n.id for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }
    assert all(
        name in stored | params or not name.startswith(("v", "p")) or name == "print" for name in loaded
    )


@given(text=st.lists(st.sampled_from([t.name for t in vocabulary().tokens]), max_size=12).map(" ".join))
def test_a_sequence_is_either_accepted_whole_or_refused_with_a_reason(text: str) -> None:
    task = task_of(kind=Kind.STDOUT)
    tokens = vocabulary().numbers(text)
    refusal = _refusal(task, tokens)
    if refusal is None:
        assert LANGUAGES["python"].structure(render(task, tokens)) is not None
    else:
        assert refusal


def _refusal(task: Task, tokens: tuple[int, ...]) -> str | None:
    try:
        check(task, tokens)
    except LanguageError as error:
        return error.message
    return None


def test_every_token_of_the_grammar_has_syntax_in_every_language() -> None:
    structural = {"END", "BLOCK_START", "BLOCK_END", "FUNC_0"}
    slots = ("NUM_", "STR_", "ARG_", "VAR_")
    names = [t.name for t in vocabulary().tokens if t.name not in structural and not t.name.startswith(slots)]
    for language in languages():
        assert set(names) == set(language_map(language).tokens)


def test_forbidden_constructs_are_never_offered() -> None:
    task = task_of(constraints=Constraints(forbid_constructs=("loop", "condition"), forbid_operators=("+",)))
    grammar = grammar_of(shape_of(task))
    banned = vocabulary().marked(frozenset({"loop", "condition", "+"}))
    assert banned
    assert not any(token in made for made in grammar.sorts.values() for token in banned)


def test_literal_slots_are_offered_only_for_literals_that_exist() -> None:
    grammar = grammar_of(shape_of(task_of(numbers=(7,), strings=())))
    offered = {vocabulary().tokens[token].name for token in grammar.sorts["num"]}
    assert "NUM_0" in offered
    assert "NUM_1" not in offered


def test_a_budget_too_small_for_any_program_is_refused_when_the_grammar_is_made() -> None:
    with pytest.raises(LanguageError, match="max_tokens=2"):
        grammar_of(shape_of(task_of(constraints=Constraints(max_tokens=2))))


def test_a_token_that_cannot_come_next_is_named_with_the_hole() -> None:
    with pytest.raises(LanguageError, match="END cannot fill a main hole"):
        check(task_of(kind=Kind.STDOUT), vocabulary().numbers("END"))


@pytest.mark.parametrize("text", ["OUTPUT", "OUTPUT ADD NUM_0", "IF TRUE BLOCK_START OUTPUT NUM_0"])
def test_an_open_hole_is_refused(text: str) -> None:
    with pytest.raises(LanguageError, match="not complete"):
        parse(vocabulary().numbers(text))


def test_tokens_after_the_end_are_refused() -> None:
    with pytest.raises(LanguageError, match="1 tokens after END"):
        parse(vocabulary().numbers("OUTPUT NUM_0 END END"))
