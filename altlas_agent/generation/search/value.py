"""A learned value of expressions: how likely one is part of a solution, for the order in which search looks at them.

    solved group --> expressions of its solution against those of its failures --> weights
    task --> weights of its words, frozen when its search begins --> value of a piece

A logistic model over the tokens of an expression, the words of the description beside them, and how its values on
the visible tests relate to what is wanted. Nothing is drawn by chance, and what the search of a task goes by never
changes while it goes on, so it can be taken up again from its beginning.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sized
from typing import TYPE_CHECKING

from altlas_agent.core.errors import LanguageError
from altlas_agent.core.states import ValueState
from altlas_agent.generation.prompts import words
from altlas_agent.generation.search.bank import NOWHERE, at
from altlas_agent.generation.search.worlds import given
from altlas_agent.languages.tokens.grammar import grammar_of, shape_of
from altlas_agent.languages.tokens.machine import Frame, expression
from altlas_agent.languages.tokens.tree import parse
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from altlas_agent.core.records import Group, Task
    from altlas_agent.generation.search.bank import Piece
    from altlas_agent.generation.search.worlds import World
    from altlas_agent.languages.tokens.tree import Node

PAIRS = 512
"""Weights of a word of the description with a token; several pairs may share one."""

FAILURES = 3
"""Failed programs of a group that a solution is compared with, the last ones."""

RATE = 0.3
_FAR = 1e15
_Values = tuple[object, ...]


def relations(values: _Values, wanted: _Values) -> tuple[float, ...]:
    """How values relate to what is wanted at the same points, each 0..1; all 0 where nothing is known.

    Equal, of the same type, within the other, near as a number, as long, different from point to point, nowhere.
    """
    known = [pair for pair in zip(values, wanted, strict=False) if pair[1] is not NOWHERE]
    if not known:
        return (0.0,) * RELATIONS
    shares = zip(*(_related(value, want) for value, want in known), strict=True)
    varied = len({value for value, _ in known}) > 1
    return (*(sum(share) / len(known) for share in shares), float(varied))


RELATIONS = 7


def _related(value: object, want: object) -> tuple[float, ...]:
    if value is NOWHERE:
        return 0.0, 0.0, 0.0, 0.0, 0.0, 1.0
    is_alike = type(value) is type(want)
    return (
        float(is_alike and value == want),
        float(is_alike),
        float(_is_within(value, want) or _is_within(want, value)),
        _nearness(value, want),
        float(isinstance(value, Sized) and isinstance(want, Sized) and len(value) == len(want)),
        0.0,
    )


def _is_within(part: object, whole: object) -> bool:
    if isinstance(whole, tuple):
        return part in whole
    return isinstance(whole, str) and isinstance(part, str) and part in whole


def _nearness(value: object, want: object) -> float:
    if not isinstance(value, int | float) or not isinstance(want, int | float):
        return 0.0
    distance = abs(value - want)
    return 1.0 / (1.0 + distance) if distance < _FAR else 0.0  # also not a number


class TaskValue:
    """What the pieces of one bank are ordered by. `wanted` is what each of its points wants, if that is known."""

    def __init__(self, weights: Sequence[float], wanted: _Values) -> None:
        """`weights` are those that `Value.frozen` gave."""
        tokens = len(vocabulary())
        self._tokens, self._relations = weights[:tokens], weights[tokens:]
        self._wanted = wanted

    def __call__(self, piece: Piece) -> float:
        own = sum(self._tokens[token] for token in piece.tokens) / len(piece.tokens)
        found = relations(piece.values, self._wanted)
        return own + sum(weight * share for weight, share in zip(self._relations, found, strict=True))


class Value:
    """The weights, and what they learn from. `state` travels in the checkpoints."""

    def __init__(self) -> None:
        self.state = ValueState()

    def frozen(self, task: Task) -> tuple[float, ...]:
        """A weight for each token, the words of the task taken into account, and one for each relation."""
        weights = self._weights()
        tokens, places = len(vocabulary()), _words(task)
        of_tokens = tuple(
            weights[token] + sum(weights[_pair(word, token)] for word in places) / max(len(places), 1)
            for token in range(tokens)
        )
        return (*of_tokens, *weights[tokens + PAIRS : -1])

    def learn(self, group: Group) -> None:
        """Tell the expressions of a solution from those of failures; a group without both teaches nothing."""
        task, scored = group.plan.task, [j for j in group.judged if j.outcome.status.is_scored]
        solved = [judged.attempt.tokens for judged in scored if judged.score.solved]
        failed = [judged.attempt.tokens for judged in scored if not judged.score.solved][-FAILURES:]
        if not solved or not failed:
            return
        points = [world for each in (task, *group.plan.examples) for world in given(each)]
        good = dict(_expressions(task, min(solved, key=lambda each: (len(each), each)), points))
        bad = {tokens: values for each in failed for tokens, values in _expressions(task, each, points)}
        weights, places = self._weights(), _words(task)
        aim = wanted(points)
        for found, label in ((good, 1.0), (bad, 0.0)):
            for tokens, values in found.items():
                if label or tokens not in good:
                    _step(weights, _features(tokens, relations(values, aim), places), label)
        self.state = ValueState(weights=tuple(weights), groups=self.state.groups + 1)

    def _weights(self) -> list[float]:
        """Tokens, pairs, relations, and what everything begins with."""
        return list(self.state.weights) or [0.0] * (len(vocabulary()) + PAIRS + RELATIONS + 1)


def wanted(points: Sequence[World]) -> _Values:
    """What is wanted at each input, NOWHERE where that is not known."""
    return tuple(world.expected if world.is_known else NOWHERE for world in points)


def _words(task: Task) -> list[str]:
    return list(dict.fromkeys(words(task)))


def _pair(word: str, token: int) -> int:
    """The place of the weight of a word with a token."""
    return len(vocabulary()) + zlib.crc32(f"{token} {word}".encode()) % PAIRS


def _expressions(
    task: Task, tokens: tuple[int, ...], points: Sequence[World]
) -> Iterator[tuple[tuple[int, ...], _Values]]:
    """The expressions of a program that have holes, with their values; without values where a variable is in scope."""
    known = grammar_of(shape_of(task)).type_of
    variables = {number for name, number in vocabulary().number.items() if name.startswith("VAR_")}
    try:
        waiting = [parse(tokens)]
    except LanguageError:  # what came from elsewhere need not be whole
        return
    while waiting:
        node = waiting.pop()
        waiting += node.children
        piece = tokens[node.first : node.last + 1]
        if node.children and tokens[node.first] in known:
            is_closed = variables.isdisjoint(piece)
            yield piece, _values(node, points) if is_closed else ()


def _values(node: Node, points: Sequence[World]) -> _Values:
    run = expression(node)
    return tuple(at(run, Frame(world.inputs)) for world in points)


def _features(tokens: tuple[int, ...], shares: tuple[float, ...], places: Sequence[str]) -> dict[int, float]:
    """Place of a weight to its share in the sum."""
    first = len(vocabulary()) + PAIRS
    found: dict[int, float] = {first + place: share for place, share in enumerate(shares) if share}
    found[first + RELATIONS] = 1.0
    for token in tokens:
        found[token] = found.get(token, 0.0) + 1.0 / len(tokens)
        for word in places:
            pair = _pair(word, token)
            found[pair] = found.get(pair, 0.0) + 1.0 / (len(tokens) * len(places))
    return found


def _step(weights: list[float], features: dict[int, float], label: float) -> None:
    """One step of logistic regression."""
    total = sum(weights[place] * share for place, share in features.items())
    error = label - 1.0 / (1.0 + math.exp(-max(min(total, 30.0), -30.0)))
    for place, share in features.items():
        weights[place] += RATE * error * share
