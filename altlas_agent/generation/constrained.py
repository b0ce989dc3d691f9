"""The grammar over the logits: what may come next, and what the task's constraints make likelier.

Sampler and learner both come here, so the log-probability that is trained is the one that was sampled.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import torch

from altlas_agent.generation.masks import masks_of
from altlas_agent.languages.tokens.grammar import MAX_LITERALS, Derivation, grammar_of, shape_of
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from altlas_agent.core.records import Constraints, Task
    from altlas_agent.languages.tokens.grammar import Choice, Grammar

HOLES = (
    "", "num", "str", "bool", "list", "words", "any", "printable", "new_var", "old_var", "main", "main_rest",
    "function", "func_name", "body", "body_rest", "block", "block_first", "block_rest", "block_end", "end",
)  # fmt: skip
HOLE_NUMBER = {name: number for number, name in enumerate(HOLES)}


class Trace(NamedTuple):
    """A finished program as the learner needs it: T steps, V tokens."""

    previous_T: list[int]
    holes_T: list[int]
    masks_TV: NDArray[np.float32]


def grammar_for(task: Task) -> Grammar:
    """What programs of a task are made by; ask once for all of them."""
    return grammar_of(shape_of(task))


def start(task: Task) -> Derivation:
    """A program of a task before its first token."""
    return Derivation(grammar_for(task))


def trace(grammar: Grammar, tokens: Sequence[int]) -> Trace:
    """Walk a sampled program again. Raises LanguageError when the grammar does not hold it."""
    derivation = Derivation(grammar)
    before = [len(vocabulary()), *tokens[:-1]]
    holes: list[int] = []
    choices: list[Choice] = []
    for token in tokens:
        holes.append(HOLE_NUMBER[derivation.hole])
        choices.append(derivation.choice())
        derivation.advance(token)
    return Trace(before, holes, masks_of(choices))


def required(task: Task) -> Mapping[int, frozenset[str]]:
    """Tokens that bring in what the task's constraints ask for, each with what that is."""
    return _required(task.constraints, task.numbers, task.strings)


@lru_cache(maxsize=4096)
def _required(
    rules: Constraints, numbers: tuple[int, ...], strings: tuple[str, ...]
) -> Mapping[int, frozenset[str]]:
    words = vocabulary()
    found = {
        number: frozenset(token.marks).intersection(rules.require_operators + rules.require_constructs)
        for number, token in enumerate(words.tokens)
    }
    literals = (("NUM", numbers, rules.require_numbers), ("STR", strings, rules.require_strings))
    for slot, values, wanted in literals:
        for k, value in enumerate(values[:MAX_LITERALS]):
            if value in wanted:
                found[words.number[f"{slot}_{k}"]] = frozenset({f"{slot}_{k}"})
    return {token: marks for token, marks in found.items() if marks}


def boost(task: Task, factor: float) -> Tensor:
    """(V,) added to the logits: ln(factor) for tokens that the task's constraints require, else 0."""
    bias = torch.zeros(len(vocabulary()))
    bias[list(required(task))] = math.log(factor)
    return bias
