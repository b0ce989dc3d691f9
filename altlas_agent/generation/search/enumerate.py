"""Programs for one task by size: expressions from banks, put into templates, tried on the visible tests.

    templates, in turn ── banks, by size ── visible tests ── not seen before ── candidate
                                              (machine)        (behaviour)

What is hidden is never looked at. Work is counted in ticks, never in seconds: the same task and seed give the
same candidates in the same order.
"""

from __future__ import annotations

import random
from itertools import product
from typing import TYPE_CHECKING

from altlas_agent.core.clock import derive_seed
from altlas_agent.core.errors import LanguageError
from altlas_agent.generation.constrained import required
from altlas_agent.generation.search.bank import NOWHERE, Bank, Point, in_turn, splits
from altlas_agent.generation.search.value import TaskValue, wanted
from altlas_agent.generation.search.worlds import made_up, worlds
from altlas_agent.languages.base import violations
from altlas_agent.languages.build import language
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.grammar import check, grammar_of, shape_of
from altlas_agent.languages.tokens.machine import Inputs, Machine
from altlas_agent.languages.tokens.templates import templates
from altlas_agent.languages.tokens.values import UNDEFINED
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from altlas_agent.core.records import Task
    from altlas_agent.generation.search.bank import Piece
    from altlas_agent.languages.tokens.templates import Hole, Template

MEMBERS = 3
"""Members of a list at which an expression over each of them is compared."""
_TICK = 64


class Enumerator:
    """The candidates for one task, smallest first. What it was made of is all it depends on."""

    def __init__(
        self, task: Task, examples: Sequence[Task], seed: int, *, capacity: int, value: Sequence[float] = ()
    ) -> None:
        """`examples` are further instances of the task's family: their visible tests count as well.

        `capacity` bounds the expressions of one sort and size. `value` are the weights that order them, of
        `Value.frozen`; none leaves them as they are found.
        """
        self._weights = value
        self._rng = random.Random(derive_seed(seed, f"search {task.key}"))
        self._task = task
        self._grammar = grammar_of(shape_of(task))
        self._worlds = worlds((task, *examples), self._rng)
        self._tells = required(task)
        self._templates = [(each, Machine(each.names)) for each in templates(self._grammar.shape)]
        scopes = dict.fromkeys(hole.scope for each, _ in self._templates for hole in each.holes)
        self._banks = {scope: self._bank(scope, capacity) for scope in scopes}
        self._seen: set[tuple[object, ...]] = set()

    def candidates(self) -> Iterator[tuple[int, ...] | None]:
        """Token sequences to try, and None for each piece of work in between; ends where the task's size ends."""
        return in_turn([self._of(template, machine) for template, machine in self._templates])

    def _of(self, template: Template, machine: Machine) -> Iterator[tuple[int, ...] | None]:
        room = self._task.constraints.max_tokens - template.size
        for size in range(len(template.holes), room + 1):
            yield from self._filled(template, machine, size)

    def _bank(self, scope: tuple[str, ...], capacity: int) -> Bank:
        """With what MAP and FILTER need for their own variable, outside of loops."""
        inner = None
        if not scope and "list" in self._grammar.sorts:
            inner = Bank(
                self._grammar,
                ("num",),
                self._points(("num",)),
                tells=self._tells,
                capacity=capacity,
                value=self._value(("num",)),
            )
        return Bank(
            self._grammar,
            scope,
            self._points(scope),
            tells=self._tells,
            capacity=capacity,
            inner=inner,
            value=self._value(scope),
        )

    def _value(self, scope: tuple[str, ...]) -> TaskValue | None:
        """What is wanted is known where no variable is in scope: there a point is an input."""
        if not self._weights:
            return None
        return TaskValue(self._weights, () if scope else wanted(self._worlds))

    def _points(self, scope: tuple[str, ...]) -> list[Point]:
        """Each input, with members of what it holds in the place of variables."""
        if not scope:
            return [Point(world.inputs) for world in self._worlds]
        return [
            Point(world.inputs, tuple(self._member(world.inputs, name) for name in scope))
            for world in self._worlds
            for _ in range(MEMBERS)
        ]

    def _member(self, inputs: Inputs, name: str) -> object:
        values = [made_up(name, inputs, self._rng)]
        for arg in (*inputs.args, *inputs.strings) if name in ("num", "str") else ():
            if isinstance(arg, tuple | str):
                values += [each for each in arg if isinstance(each, str) == (name == "str")]
        return self._rng.choice(values)

    def _filled(self, template: Template, machine: Machine, size: int) -> Iterator[tuple[int, ...] | None]:
        tried = 0
        for sizes in splits(size, len(template.holes)):
            filled = list(zip(template.holes, sizes, strict=True))
            if any(each > hole.most for hole, each in filled):
                continue
            for hole, each in filled:
                yield from self._banks[hole.scope].grow(hole.sort, each)
            parts = [self._pieces(hole, each) for hole, each in filled]
            for pieces in product(*parts):
                tried += 1
                if tried % _TICK == 0:
                    yield None
                if self._is_new(template, machine, pieces):
                    tokens = _joined(template, pieces)
                    if self._is_allowed(tokens):
                        yield tokens
        yield None

    def _pieces(self, hole: Hole, size: int) -> list[Piece]:
        found, words = self._banks[hole.scope].of(hole.sort, size), vocabulary()
        if hole.only:
            return [piece for piece in found if words.tokens[piece.tokens[0]].name in hole.only]
        if hole.mentions is not None:
            found = [piece for piece in found if words.number[f"VAR_{hole.mentions}"] in piece.tokens]
        if hole.avoids is not None:
            found = [piece for piece in found if words.number[f"VAR_{hole.avoids}"] not in piece.tokens]
        return found

    def _is_new(self, template: Template, machine: Machine, pieces: Sequence[Piece]) -> bool:
        """Whether it does what the visible tests want, and nothing that did so before behaves as it does."""
        if template.is_plain:  # the bank has run it, and holds no other one like it
            return all(
                not world.is_known or value == world.expected
                for world, value in zip(self._worlds, pieces[0].values, strict=True)
            )
        fillings = [
            self._banks[hole.scope].filling(piece) for hole, piece in zip(template.holes, pieces, strict=True)
        ]
        run = machine.returned if self._task.signature else machine.printed
        shown: list[object] = []
        for world in self._worlds:
            try:
                shown.append(run(world.inputs, fillings))
            except UNDEFINED:
                shown.append(NOWHERE)
            if world.is_known and shown[-1] != world.expected:
                return False
        behaviour = tuple(shown)
        if behaviour in self._seen or all(value is NOWHERE for value in shown):
            return False
        self._seen.add(behaviour)
        return True

    def _is_allowed(self, tokens: tuple[int, ...]) -> bool:
        """Whether the task's grammar holds it, and it keeps the task's constraints."""
        try:
            check(self._task, tokens)
        except LanguageError:
            return False
        structure = language(self._task.target_language).structure(render(self._task, tokens))
        return structure is not None and not violations(structure, self._task.constraints)


def _joined(template: Template, pieces: Sequence[Piece]) -> tuple[int, ...]:
    number, tokens = vocabulary().number, list[int]()
    for name in template.names:
        tokens += pieces[int(name[5:])].tokens if name.startswith("HOLE_") else (number[name],)
    return tuple(tokens)
