"""Drafts: what was said of a piece so far, and what could not be said of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.languages.encode.pieces import size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from altlas_agent.languages.encode.pieces import Piece
    from altlas_agent.languages.encode.scope import Scope

UNK = -1
"""Stands in a sequence for a piece that the vocabulary cannot say. It is no token: nothing writes it."""


class Gap(NamedTuple):
    """A piece that could not be said as a `sort`, with the names that were in scope."""

    piece: Piece
    sort: str
    scope: Scope


class Draft(NamedTuple):
    """Tokens, the gap for each UNK among them in their order, and how many pieces lie in the gaps.

    `type` is that of an expression; `scope` holds behind a statement.
    """

    tokens: tuple[int, ...]
    gaps: tuple[Gap, ...]
    cost: int
    type: str
    scope: Scope

    @property
    def price(self) -> tuple[int, int]:
        """What leaves less unsaid is better; among equals, what is shorter."""
        return self.cost, len(self.tokens)


def gap(piece: Piece, sort: str, scope: Scope, kind: str) -> Draft:
    """The draft that says nothing of a piece."""
    return Draft((UNK,), (Gap(piece, sort, scope),), size(piece), kind, scope)


def cheapest(drafts: Iterable[Draft | None]) -> Draft | None:
    """The best draft, the first among equals; None when there is none."""
    return min((draft for draft in drafts if draft is not None), key=lambda draft: draft.price, default=None)
