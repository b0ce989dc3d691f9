"""The grammar over the logits: what may come next, and what the task's constraints make likelier.

Sampler and learner both come here, so the log-probability that is trained is the one that was sampled.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from altlas_agent.languages.tokens.grammar import MAX_LITERALS, Derivation, grammar_of, shape_of
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from altlas_agent.core.records import Task

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


@lru_cache(maxsize=65_536)
def mask_of(allowed: frozenset[int]) -> NDArray[np.float32]:
    """(V,) with 0 for allowed tokens and a number no softmax survives for the others."""
    mask = np.full(len(vocabulary()), FORBIDDEN, dtype=np.float32)
    mask[list(allowed)] = 0.0
    return mask


def start(task: Task) -> Derivation:
    return Derivation(grammar_of(shape_of(task)))


def trace(task: Task, tokens: Sequence[int]) -> Trace:
    """Walk a sampled program again. Raises LanguageError when the grammar does not hold it."""
    derivation = start(task)
    before = [len(vocabulary()), *tokens[:-1]]
    holes: list[int] = []
    masks: list[NDArray[np.float32]] = []
    for token in tokens:
        holes.append(HOLE_NUMBER[derivation.hole])
        masks.append(mask_of(frozenset(derivation.options())))
        derivation.advance(token)
    return Trace(before, holes, np.stack(masks))


def boost(task: Task, factor: float) -> Tensor:
    """(V,) added to the logits: ln(factor) for tokens that the task's constraints require, else 0."""
    words, rules = vocabulary(), task.constraints
    wanted = set(words.marked(frozenset(rules.require_operators + rules.require_constructs)))
    literals = (("NUM", task.numbers, rules.require_numbers), ("STR", task.strings, rules.require_strings))
    for slot, values, required in literals:
        wanted |= {words.number[f"{slot}_{k}"] for k, v in enumerate(values[:MAX_LITERALS]) if v in required}
    bias = torch.zeros(len(words))
    bias[list(wanted)] = math.log(factor)
    return bias
