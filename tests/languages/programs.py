"""Tasks and random programs for the tests of languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.records import Constraints, Kind, Param, Signature, Task
from altlas_agent.languages.tokens.grammar import Derivation, grammar_of, shape_of

if TYPE_CHECKING:
    import random


def task_of(
    *,
    params: tuple[str, ...] = (),
    returns: str = "num",
    kind: Kind = Kind.FUNCTION,
    language: str = "python",
    max_tokens: int = 24,
    numbers: tuple[int, ...] = (5, -3),
    strings: tuple[str, ...] = ('say "hi"', "b\\n"),
    constraints: Constraints | None = None,
) -> Task:
    """A task with arguments p0, p1 ... of the given types; lists are in play."""
    named = tuple(Param(name=f"p{place}", type=name) for place, name in enumerate(params))
    return Task(
        id="t/task",
        suite="t",
        name="task",
        description="any",
        target_language=language,
        kind=kind,
        cases=(),
        numbers=numbers,
        strings=strings,
        signature=Signature(name="solve", params=named, returns=returns) if kind is Kind.FUNCTION else None,
        constraints=constraints or Constraints(max_tokens=max_tokens, require_constructs=("list",)),
    )


def random_tokens(task: Task, rng: random.Random) -> tuple[int, ...]:
    """A complete program, every choice uniform over what the grammar offers."""
    derivation = Derivation(grammar_of(shape_of(task)))
    tokens: list[int] = []
    while not derivation.done:
        tokens.append(rng.choice(list(derivation.options())))
        derivation.advance(tokens[-1])
    return tuple(tokens)
