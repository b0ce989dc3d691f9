"""Which slot a name has: arguments by their place, variables by how many are in scope when they are given."""

from __future__ import annotations

from typing import NamedTuple

UNTYPED = "?"
"""The type of a variable whose value the vocabulary cannot say: it may stand anywhere."""


class Variable(NamedTuple):
    """A name in scope. `is_open`: it may be given a new value."""

    name: str
    type: str
    is_open: bool


class Slot(NamedTuple):
    """The token that stands for a name."""

    token: str
    type: str
    is_open: bool

    def fits(self, sort: str) -> bool:
        return self.type in (sort, UNTYPED)


class Scope(NamedTuple):
    """The names that can be used at one place; those given last hide those given before."""

    arguments: tuple[Variable, ...] = ()
    variables: tuple[Variable, ...] = ()

    def slot(self, name: str) -> Slot | None:
        """The slot of a name; None when nothing of this name is in scope."""
        for prefix, names in (("VAR", self.variables), ("ARG", self.arguments)):
            for place in range(len(names) - 1, -1, -1):
                if names[place].name == name:
                    return Slot(f"{prefix}_{place}", names[place].type, names[place].is_open)
        return None

    def with_variable(self, name: str, kind: str, *, is_open: bool) -> Scope:
        return self._replace(variables=(*self.variables, Variable(name, kind, is_open)))

    def without_from(self, count: int) -> Scope:
        """Only the first `count` variables, as when a block is left."""
        return self._replace(variables=self.variables[:count])
