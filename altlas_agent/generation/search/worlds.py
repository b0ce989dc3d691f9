"""The inputs on which search compares programs: the visible tests of a task, and inputs made up beside them.

A made-up input has other literals than the description: a constant that happens to equal one is told from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.languages.tokens.grammar import MAX_LITERALS
from altlas_agent.languages.tokens.machine import Inputs, inputs_of
from altlas_agent.languages.tokens.values import from_json

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from altlas_agent.core.records import Case, Task
    from altlas_agent.languages.tokens.values import Value

PROBES = 10
_WORDS = (
    "tree",
    "a",
    "Level",
    "sunshine",
    "to be",
    "",
    "banana",
    "Kitchen",
    "xyz",
    "of",
    "mississippi",
    "12",
)
_LOWEST, _HIGHEST = -4, 12
_LONGEST = 6


class World(NamedTuple):
    """One input, and what the task wants of it where that is known."""

    inputs: Inputs
    is_known: bool
    expected: object = None


def worlds(tasks: Sequence[Task], rng: random.Random) -> tuple[World, ...]:
    """The visible tests of a task and of others of its family, then inputs that are made up.

    For programs that print there are no tests, but the literals of each instance.
    """
    first = tasks[0]
    types = [param.type for param in first.signature.params] if first.signature else []
    made = [World(_made_up(first, types, rng), is_known=False) for _ in range(PROBES)]
    return (*(world for task in tasks for world in given(task)), *made)


def given(task: Task) -> list[World]:
    """The inputs that a task shows, with what it wants of them."""
    if task.signature is None:
        return [World(Inputs((), task.numbers, task.strings), is_known=False)]
    return [_known(task, case) for case in task.cases if not case.hidden and case.expected]


def _known(task: Task, case: Case) -> World:
    return World(inputs_of(task, case), is_known=True, expected=from_json(case.expected))


def _made_up(task: Task, types: list[str], rng: random.Random) -> Inputs:
    strings = tuple(rng.choice(_WORDS[:4]) for _ in task.strings[:MAX_LITERALS])
    numbers = tuple(rng.sample(range(2, 2 + 3 * MAX_LITERALS), len(task.numbers[:MAX_LITERALS])))
    inputs = Inputs((), numbers, strings)
    for name in types:
        inputs = inputs._replace(args=(*inputs.args, made_up(name, inputs, rng)))
    return inputs


def made_up(name: str, inputs: Inputs, rng: random.Random) -> Value:
    """A value of one type; often near a literal or an argument before it, where comparisons tell programs apart."""
    near = (*inputs.args, *inputs.numbers, *inputs.strings)
    numbers = [each for each in near if isinstance(each, int)]
    texts = [each for each in near if isinstance(each, str)]
    if name == "num":
        return _number(numbers, rng)
    if name == "str":
        return _text(texts, rng)
    if name == "bool":
        return rng.random() < 0.5
    count = rng.randint(1, _LONGEST)
    if name == "list":
        return tuple(_number(numbers, rng) for _ in range(count))
    return tuple(_text(texts, rng) for _ in range(count))


def _number(literals: Sequence[int], rng: random.Random) -> int:
    if literals and rng.random() < 0.5:
        return rng.choice(literals) + rng.randint(-1, 1)
    return rng.randint(_LOWEST, _HIGHEST)


def _text(literals: Sequence[str], rng: random.Random) -> str:
    word = rng.choice(_WORDS)
    if not literals or rng.random() < 0.5:
        return word
    literal = rng.choice(literals)
    return rng.choice(
        (literal, literal + word, word + literal, word + literal + word, literal.upper(), literal[::-1])
    )
