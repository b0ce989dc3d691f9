"""Laying a pattern on a piece: which parts stand in its holes.

hole0_ ...        a hole; the same hole twice must be filled by the same
hole0__end        a name made from that in a hole
item_ ...         a name of the template's own, for a parameter: any name will do
every other name  itself, a thing of the language: not one that the program gives a meaning of its own
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from altlas_agent.languages.encode.pieces import free_names, same

if TYPE_CHECKING:
    from altlas_agent.languages.encode.pieces import Piece
    from altlas_agent.languages.encode.rules import Rule

Bound = dict[int, "Piece"]
_NO_VALUES = frozenset({"Slice", "Starred", "spread_element", "none", "list"})
"""Pieces that stand in brackets and are no values by themselves."""
_HOLE = re.compile(r"hole(\d)_(.*)")


def fitted(rule: Rule, piece: Piece, given: frozenset[str]) -> Bound | None:
    """What stands in the holes of a rule when it is laid on `piece`; None when it does not fit.

    `given` are the names that the program gives.
    """
    match = _Match(given)
    if not match.fits(rule.pattern, piece):
        return None
    if any(match.bound[hole].kind != "name" for hole in rule.names):
        return None
    own = set(match.own.values())
    if own and any(own & free_names(part) for part in match.bound.values()):
        return None  # what stands in a hole would mean the parameter of the template
    return match.bound


@lru_cache(maxsize=512)
def _hole(name: str) -> tuple[int, str] | None:
    found = _HOLE.fullmatch(name)
    return (int(found[1]), found[2]) if found is not None else None


def _whole_block(pattern: Piece) -> int | None:
    """The hole that a block consists of."""
    if pattern.kind != "block" or len(pattern.children) != 1 or pattern.children[0].kind != "expression":
        return None
    inner = pattern.children[0].children[0]
    hole = _hole(inner.text) if inner.kind == "name" else None
    return hole[0] if hole is not None else None


class _Match:
    """One pattern on one piece: what was found so far."""

    def __init__(self, given: frozenset[str]) -> None:
        self.bound: Bound = {}
        self.own: dict[str, str] = {}
        self._given = given

    def fits(self, pattern: Piece, piece: Piece) -> bool:
        if pattern.kind == "name":
            return self._name(pattern.text, piece)
        if piece.kind != pattern.kind:
            return False
        block = _whole_block(pattern)
        if block is not None:
            return self._fill(block, piece)
        if piece.text != pattern.text or len(piece.children) != len(pattern.children):
            return False
        return all(map(self.fits, pattern.children, piece.children))

    def _name(self, name: str, piece: Piece) -> bool:
        hole = _hole(name)
        if hole is None:
            if piece.kind != "name":
                return False
            if name.endswith("_"):
                return self.own.setdefault(name, piece.text) == piece.text
            return name == piece.text and name not in self._given
        if not hole[1]:
            return self._fill(hole[0], piece)
        stem = self.bound.get(hole[0])
        return piece.kind == "name" and stem is not None and piece.text == stem.text + hole[1]

    def _fill(self, hole: int, piece: Piece) -> bool:
        return piece.kind not in _NO_VALUES and same(self.bound.setdefault(hole, piece), piece)
