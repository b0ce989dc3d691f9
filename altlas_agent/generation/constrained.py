"""The grammar over the logits: what may come next, and what the task's constraints make likelier.

Sampler and learner both come here, so the log-probability that is trained is the one that was sampled.
"""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from altlas_agent.languages.tokens.grammar import ALLOWED, MAX_LITERALS, Derivation, grammar_of, shape_of
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from altlas_agent.core.records import Task
    from altlas_agent.languages.tokens.grammar import Grammar

HOLES = (
    "", "num", "str", "bool", "list", "words", "any", "printable", "new_var", "old_var", "main", "main_rest",
    "function", "func_name", "body", "body_rest", "block", "block_first", "block_rest", "block_end", "end",
)  # fmt: skip
HOLE_NUMBER = {name: number for number, name in enumerate(HOLES)}
FORBIDDEN = -1e9


class Trace(NamedTuple):
    """A finished program as the learner needs it: T steps, V tokens."""

    previous_T: list[int]
    holes_T: list[int]
    masks_TV: NDArray[np.float32]


class _Masks:
    """(M, V): the masks of all sets that a grammar has offered, by their number. It grows by doubling."""

    def __init__(self) -> None:
        self._table_MV = np.empty((0, len(vocabulary())), dtype=np.float32)
        self._filled = 0

    def of(self, numbers: Sequence[int]) -> NDArray[np.float32]:
        """(N, V) with 0 for allowed tokens and a number no softmax survives for the others."""
        if self._filled < len(ALLOWED):
            self._fill()
        return self._table_MV[numbers]

    def _fill(self) -> None:
        rows = len(self._table_MV)
        if rows < len(ALLOWED):
            grown = np.full((max(2 * rows, len(ALLOWED)), len(vocabulary())), FORBIDDEN, dtype=np.float32)
            grown[:rows] = self._table_MV
            self._table_MV = grown
        for number in range(self._filled, len(ALLOWED)):
            self._table_MV[number, list(ALLOWED[number])] = 0.0
        self._filled = len(ALLOWED)


@cache
def _masks() -> _Masks:
    return _Masks()


def masks_of(numbers: Sequence[int]) -> NDArray[np.float32]:
    """(N, V) masks of the sets with these numbers, see `Choice`."""
    return _masks().of(numbers)


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
    numbers: list[int] = []
    for token in tokens:
        holes.append(HOLE_NUMBER[derivation.hole])
        numbers.append(derivation.choice().number)
        derivation.advance(token)
    return Trace(before, holes, masks_of(numbers))


def required(task: Task) -> dict[int, frozenset[str]]:
    """Tokens that bring in what the task's constraints ask for, each with what that is."""
    rules, words = task.constraints, vocabulary()
    found = {
        number: frozenset(token.marks).intersection(rules.require_operators + rules.require_constructs)
        for number, token in enumerate(words.tokens)
    }
    literals = (("NUM", task.numbers, rules.require_numbers), ("STR", task.strings, rules.require_strings))
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
