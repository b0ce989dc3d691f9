"""Expressions by size, one for each behaviour: bottom-up enumeration pruned by observational equivalence.

Two expressions of one sort that have the same value at every point are the same to us, and the first, which is
a smallest one, stands for both. What binds a variable has a bank of its own for what stands inside.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar, cast

from altlas_agent.languages.tokens.grammar import TYPES
from altlas_agent.languages.tokens.machine import Filling, Frame, expression
from altlas_agent.languages.tokens.tree import Node, parse_expression
from altlas_agent.languages.tokens.values import OPERATIONS, UNDEFINED
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from altlas_agent.languages.tokens.grammar import Grammar, Holes
    from altlas_agent.languages.tokens.machine import Inputs

UNIONS = {"any": TYPES, "printable": ("num", "str", "bool")}
COMMUTING = frozenset({"ADD", "MUL", "LARGER", "SMALLER", "EQ", "NE", "SAME_STR", "AND", "OR"})
_TICK = 256


Made: TypeAlias = tuple[tuple[int, ...], tuple[object, ...]]
_T = TypeVar("_T")


class _Nowhere:
    """Where an expression has no value."""


NOWHERE = _Nowhere()


class Point(NamedTuple):
    """Where an expression is looked at: an input, and the variables in scope."""

    inputs: Inputs
    variables: tuple[object, ...] = ()


class Piece(NamedTuple):
    """An expression, and its value at each point, NOWHERE where it has none."""

    tokens: tuple[int, ...]
    values: tuple[object, ...]


class Bank:
    """The expressions of one scope. What is asked for is made when it is asked for, and what that is made of."""

    def __init__(
        self,
        grammar: Grammar,
        scope: tuple[str, ...],
        points: Sequence[Point],
        *,
        tells: Mapping[int, frozenset[str]],
        capacity: int,
        inner: Bank | None = None,
        value: Callable[[Piece], float] | None = None,
    ) -> None:
        """`scope` are the types of VAR_0, VAR_1 ...; `inner` has one number more in its scope.

        No more than `capacity` pieces of one sort and size are kept. Pieces that behave alike are both kept where `tells` finds other things in one than in the other.
        With `value` the pieces of a sort and size are in the order of their value, else as they were found.
        """
        self._grammar = grammar
        self._scope = scope
        self._points = points
        self._capacity = capacity
        self._tells = tells
        self._inner = inner
        self._value = value
        self._pieces: dict[tuple[str, int], list[Piece]] = {}
        self._seen: dict[str, set[tuple[tuple[object, ...], frozenset[str]]]] = {
            sort: set() for sort in TYPES
        }
        self._work: dict[tuple[str, int], Iterator[None]] = {}
        self._filling: dict[tuple[int, ...], Filling] = {}
        self._frames = [Frame(point.inputs, point.variables) for point in points]

    def of(self, sort: str, size: int) -> list[Piece]:
        """The pieces of a sort and size that were found so far."""
        return [piece for each in UNIONS.get(sort, (sort,)) for piece in self._pieces.get((each, size), ())]

    def filling(self, piece: Piece) -> Filling:
        """The piece as the machine runs it."""
        found = self._filling.get(piece.tokens)
        if found is None:
            names = vocabulary().names(piece.tokens)
            found = self._filling[piece.tokens] = expression(parse_expression(names))
        return found

    def grow(self, sort: str, size: int) -> Iterator[None]:
        """Find the pieces of a sort and size; yields now and then, so that the work can be put off."""
        for each in UNIONS.get(sort, (sort,)):
            # Whoever asks for the same meanwhile goes on with the same work.
            yield from self._work.setdefault((each, size), self._grown(each, size))

    def _grown(self, sort: str, size: int) -> Iterator[None]:
        yield from self._needed(sort, size)
        yield from self._found(sort, size)

    def _needed(self, sort: str, size: int) -> Iterator[None]:
        """Grow what fills the holes of these pieces."""
        for holes in self._grammar.sorts.get(sort, {}).values():
            if "!leave" in holes:
                if self._inner is not None:
                    for smaller in range(1, size - 2):
                        yield from self.grow("list", smaller)
                        yield from self._inner.grow(holes[3], smaller)
                continue
            for hole in dict.fromkeys(holes):
                for smaller in range(1, size - len(holes) + 1):
                    yield from self.grow(hole, smaller)

    def _found(self, sort: str, size: int) -> Iterator[None]:
        pieces = self._pieces.setdefault((sort, size), [])
        for tried, (tokens, values) in enumerate(self._made(sort, size), start=1):
            self._keep(sort, pieces, Piece(tokens, values))
            if tried % _TICK == 0:
                yield
            if len(pieces) >= self._capacity:
                break
        if self._value is not None:  # what is made of these pieces begins with the most promising ones
            worth = self._value
            pieces.sort(key=lambda piece: -worth(piece))

    def _keep(self, sort: str, pieces: list[Piece], piece: Piece) -> None:
        told = frozenset(each for token in piece.tokens for each in self._tells.get(token, ()))
        behaviour = (piece.values, told)
        if behaviour in self._seen[sort] or all(value is NOWHERE for value in piece.values):
            return
        self._seen[sort].add(behaviour)
        pieces.append(piece)

    def _made(self, sort: str, size: int) -> Iterator[Made]:
        """All that can be made, the productions in turn: none of them takes all the room."""
        words = vocabulary()
        ways: list[Iterator[Made]] = []
        if size == 1:
            scope = [words.number[f"VAR_{place}"] for place, name in enumerate(self._scope) if name == sort]
            ways += [iter((self._leaf(token),)) for token in scope]
        for token, holes in self._grammar.sorts.get(sort, {}).items():
            if not holes:
                ways += [iter((self._leaf(token),))] if size == 1 else []
            else:
                make = self._bound if "!leave" in holes else self._applied
                ways.append(make(token, holes, size))
        return in_turn(ways)

    def _leaf(self, token: int) -> Made:
        run = expression(Node(vocabulary().tokens[token].name, (), 0, 0))
        return (token,), tuple(at(run, frame) for frame in self._frames)

    def _applied(self, token: int, holes: Holes, size: int) -> Iterator[Made]:
        name = vocabulary().tokens[token].name
        operation, commutes = OPERATIONS[name], name in COMMUTING
        for sizes in splits(size - 1, len(holes)):
            if commutes and sizes[0] > sizes[1]:
                continue
            parts = [self.of(hole, each) for hole, each in zip(holes, sizes, strict=True)]
            for pieces in product(*parts):
                if commutes and sizes[0] == sizes[1] and pieces[0].tokens > pieces[1].tokens:
                    continue
                values = _applied_to(operation, [piece.values for piece in pieces])
                yield (token, *(each for piece in pieces for each in piece.tokens)), values

    def _bound(self, token: int, holes: Holes, size: int) -> Iterator[Made]:
        """MAP and FILTER: a list, and an expression over each of its numbers."""
        if self._inner is None:
            return
        name, variable = vocabulary().tokens[token].name, vocabulary().number[f"VAR_{len(self._scope)}"]
        for of_list, of_body in splits(size - 2, 2):
            bodies = [(body, self._inner.filling(body)) for body in self._inner.of(holes[3], of_body)]
            for piece in self.of("list", of_list):
                for body, run in bodies:
                    values = tuple(
                        self._at_members(name, members, run, frame)
                        for members, frame in zip(piece.values, self._frames, strict=True)
                    )
                    yield (token, *piece.tokens, variable, *body.tokens), values

    def _at_members(self, name: str, members: object, run: Filling, frame: Frame) -> object:
        if not isinstance(members, tuple):
            return NOWHERE
        place, found = len(self._scope), list[tuple[object, object]]()
        for member in cast("tuple[object, ...]", members):
            frame.variables[place] = member
            value = at(run, frame)
            if value is NOWHERE:
                return NOWHERE
            found.append((member, value))
        if name == "MAP":
            return tuple(value for _, value in found)
        return tuple(member for member, value in found if value)


def at(run: Filling, frame: Frame) -> object:
    """The value of an expression, NOWHERE where it has none."""
    try:
        return run(frame)
    except UNDEFINED:
        return NOWHERE


def _applied_to(operation: Callable[..., object], holes: Sequence[tuple[object, ...]]) -> tuple[object, ...]:
    """The operation at each point."""
    if not any(NOWHERE in values for values in holes):
        try:
            return tuple(map(operation, *holes))
        except UNDEFINED:
            pass  # at some point, which the slower way finds out
    return tuple(_apply(operation, members) for members in zip(*holes, strict=True))


def _apply(operation: Callable[..., object], members: tuple[object, ...]) -> object:
    if any(member is NOWHERE for member in members):
        return NOWHERE
    try:
        return operation(*members)
    except UNDEFINED:
        return NOWHERE


def splits(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """All ways to write `total` as `parts` numbers from 1."""
    if parts == 1:
        if total >= 1:
            yield (total,)
        return
    for first in range(1, total - parts + 2):
        for rest in splits(total - first, parts - 1):
            yield (first, *rest)


def in_turn(ways: Sequence[Iterator[_T]]) -> Iterator[_T]:
    """One of each, again and again, until all have ended."""
    while ways:
        going: list[Iterator[_T]] = []
        for way in ways:
            for found in way:
                yield found
                going.append(way)
                break
        ways = going
