"""Programs near a near miss: one part of it written anew by the grammar, or taken from another near miss.

parent ── tokens before the part ── the part anew ── what still fits of the tokens behind it
                                    (drawn, or a donor's)    (else drawn)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.generation.constrained import start
from altlas_agent.languages.tokens.tree import Node, parse

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Iterable, Sequence

    from altlas_agent.core.records import Task
    from altlas_agent.languages.tokens.grammar import Derivation

CROSSED_SHARE = 0.3
_KEPT = ("FUNC_DEF", "FUNC_0")


class Mutator:
    """Changes programs of one task. `draw` chooses a token where nothing else tells which."""

    def __init__(
        self, task: Task, draw: Callable[[Derivation, random.Random], int], rng: random.Random
    ) -> None:
        self._task = task
        self._draw = draw
        self._rng = rng

    def child(self, parents: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        """A complete program of the task's grammar that is like one of these."""
        parent, donor = self._rng.choice(parents), self._rng.choice(parents)
        part = self._rng.choice(parts(parent))
        graft: Sequence[int] = ()
        if self._rng.random() < CROSSED_SHARE:
            other = self._rng.choice(parts(donor))
            graft = donor[other.first : other.last + 1]
        return self._regrown(parent, part, graft)

    def _regrown(self, parent: tuple[int, ...], part: Node, graft: Iterable[int]) -> tuple[int, ...]:
        derivation, written = start(self._task), list[int]()

        def write(token: int) -> None:
            derivation.advance(token)
            written.append(token)

        def write_fitting(tokens: Iterable[int], depth: int) -> None:
            for token in tokens:
                if derivation.depth >= depth and not derivation.done and token in derivation.options():
                    write(token)

        # Another instance of the family may allow less than the one that the parent was written for.
        write_fitting(parent[: part.first], 0)
        depth = derivation.depth
        write_fitting(graft, depth)
        while not derivation.done and derivation.depth >= depth:
            write(self._draw(derivation, self._rng))
        write_fitting(parent[part.last + 1 :], 0)
        while not derivation.done:
            write(self._draw(derivation, self._rng))
        return tuple(written)


def parts(tokens: tuple[int, ...]) -> list[Node]:
    """What can be written anew: all that fills a hole, but for the frame of a function."""
    found, waiting = list[Node](), list(parse(tokens).children)
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if node.token not in (*_KEPT, "BLOCK") and not node.token.startswith("VAR_"):
            found.append(node)
    return found
