"""Pieces: a program of any language as one plain tree, after all that says nothing was taken out.

The readers of the languages make them of source text and of the templates of the language maps alike, so
that a template can be laid on a program. Kinds that mean the same in every language have the same name:

    name, num, str      a name, and literals by their value; `text` is the name or the value
    block               statements; layout, brackets around them and what does nothing are gone
    function            (params, block) under the name in `text`;  arrow: (params, body) without a name
    assign, declare     (target, value): changes a name, or gives a new one where a language tells these apart
    for, if             (target, iterable, block, ...) and (test, block, block)
    expression          an expression that stands as a statement
    deep                what is nested too deep to be looked at

Every other kind is named by its language.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPTHS = (120, 50, 20)
"""How deep is looked, in turn, until the stack of this process has room for it; what lies deeper is `deep`."""

_ASSIGNING = ("assign", "declare", "AugAssign")
_BINDING = {
    "assign": 0, "AugAssign": 0, "declare": 0, "for": 0, "comprehension": 0, "function": 0, "arrow": 0, "NamedExpr": 0, "withitem": 1,
}  # fmt: skip
"""Which part of a piece gives names."""
_PARAMETERS = (0, 1, 2, 3, 5)


class Place(NamedTuple):
    """Where a piece comes from: lines from 0, columns in bytes of UTF-8; the end lies behind the last."""

    line: int
    column: int
    end_line: int
    end_column: int


class Piece(NamedTuple):
    """A part of a program with its parts."""

    kind: str
    text: str
    children: tuple[Piece, ...]
    place: Place


def walk(piece: Piece) -> Iterator[Piece]:
    """A piece and everything in it, in the order of the text."""
    waiting = [piece]
    while waiting:
        each = waiting.pop()
        yield each
        waiting.extend(reversed(each.children))


def same(one: Piece, other: Piece) -> bool:
    """Whether two pieces say the same, wherever they stand."""
    return one is other or (
        one.kind == other.kind
        and one.text == other.text
        and len(one.children) == len(other.children)
        and all(map(same, one.children, other.children))
    )


def size(piece: Piece) -> int:
    """Of how many pieces it is made."""
    return sum(1 for _ in walk(piece))


def free_names(piece: Piece) -> frozenset[str]:
    """The names that a piece uses and does not give itself as parameters of arrow functions."""
    if piece.kind == "name":
        return frozenset({piece.text})
    found = frozenset[str]().union(*map(free_names, piece.children))
    return found - free_names(piece.children[0]) if piece.kind == "arrow" else found


def given_names(root: Piece) -> frozenset[str]:
    """The names that a program gives: to values, parameters and functions."""
    found: set[str] = set()
    for piece in walk(root):
        if piece.kind in _BINDING:
            found.update(free_names(piece.children[_BINDING[piece.kind]]))
        if piece.kind == "arguments":  # of a Python function whose parameters are more than names
            found.update(*(free_names(piece.children[place]) for place in _PARAMETERS))
        if piece.kind in ("function", "ClassDef", "FunctionDef"):
            found.add(piece.text)
    return frozenset(found)


def changed_names(root: Piece) -> frozenset[str]:
    """The names whose values may change in a piece: assigned to, or called upon as a statement."""
    found: set[str] = set()
    for piece in walk(root):
        if piece.kind in _ASSIGNING:
            found.update(free_names(piece.children[0]))
        elif piece.kind == "expression":
            found.update(free_names(piece))
    return frozenset(found)


def is_shared(root: Piece, name: str, statement: Piece) -> bool:
    """Whether changing the value of `name` in place could be seen under another name, or by a loop over it."""
    for piece in walk(root):
        if piece.kind in _ASSIGNING and _copies(piece, name):
            return True
        is_over_it = piece.kind == "for" and name in free_names(piece.children[1])
        if is_over_it and any(each is statement for each in walk(piece)):
            return True
    return False


def _copies(assignment: Piece, name: str) -> bool:
    """Whether an assignment gives one value a second name: only names, or a choice among them, do."""
    target, value = assignment.children[:2]
    choices = [part for part in (value, *_choices(value)) if part.kind == "name"]
    return bool(choices) and name in {target.text, *(choice.text for choice in choices)}


def _choices(value: Piece) -> tuple[Piece, ...]:
    return value.children if value.kind in ("IfExp", "ternary_expression") else ()
