"""What can be proved of a task without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.errors import LanguageError
from altlas_agent.languages.base import violations
from altlas_agent.languages.build import language
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.grammar import check, grammar_of, shape_of
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from altlas_agent.core.records import Task

# What a program can write without taking it from the description.
_SMALL_NUMBERS = frozenset({0.0, 1.0, 2.0, 10.0})
_SMALL_STRINGS = frozenset({"", " "})


def static_failures(task: Task) -> Iterator[str]:
    """One sentence for each thing that already the text of the task gets wrong."""
    yield from _reference(task)
    yield from _cheats(task)
    yield from _literals(task)
    yield from _tokens(task)


def copied_cheats(tasks: Sequence[Task]) -> Iterator[str]:
    """The cheats that are the reference in every instance; in one instance a constant may well be."""
    for number in range(len(tasks[0].cheats)):
        if all(_is_copy(task, task.cheats[number]) for task in tasks):
            yield f"cheat {number + 1} is the reference, written differently"


def _is_copy(task: Task, cheat: str) -> bool:
    normal_form = language(task.target_language).normal_form
    return normal_form(cheat) == normal_form(task.reference)


def rendered(task: Task) -> str:
    """The abstract tokens of a task as a program. Raises LanguageError when they are none."""
    tokens = vocabulary().numbers(task.tokens)
    if len(tokens) > task.constraints.max_tokens:
        raise LanguageError(f"{len(tokens)} tokens, but max_tokens is {task.constraints.max_tokens}")
    check(task, tokens)
    return render(task, tokens)


def _reference(task: Task) -> Iterator[str]:
    structure = language(task.target_language).structure(task.reference)
    if structure is None:
        yield "the reference does not parse"
        return
    yield from (
        f"the reference breaks a constraint: {broken}" for broken in violations(structure, task.constraints)
    )


def _cheats(task: Task) -> Iterator[str]:
    structure = language(task.target_language).structure
    for number, cheat in enumerate(task.cheats, start=1):
        if structure(cheat) is None:
            yield f"cheat {number} does not parse, so it proves nothing"


def _literals(task: Task) -> Iterator[str]:
    rules = task.constraints
    for number in rules.require_numbers:
        if number not in _SMALL_NUMBERS and number not in task.numbers:
            yield f"the number {number:g} is required but does not stand in the description"
    for text in rules.require_strings:
        if text not in _SMALL_STRINGS and text not in task.strings:
            yield f"the text {text!r} is required but does not stand, in quotes, in the description"


def _tokens(task: Task) -> Iterator[str]:
    try:
        grammar_of(shape_of(task))
        code = rendered(task) if task.tokens else task.reference
    except LanguageError as error:
        yield f"tokens: {error.message}"
        return
    if language(task.target_language).structure(code) is None:
        yield f"tokens: they render to a program that does not parse: {code!r}"
