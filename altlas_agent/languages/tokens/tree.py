"""Token sequences as trees, without their grammar: every token always opens the same holes."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from altlas_agent.core.errors import LanguageError
from altlas_agent.languages.tokens.grammar import TYPES, productions
from altlas_agent.languages.tokens.vocabulary import vocabulary

BLOCK = "BLOCK"


class Node(NamedTuple):
    """A token with what fills its holes; a `BLOCK` node holds statements.

    `first` and `last` are the places in the sequence of the first and the last token of all this: of a
    block those of BLOCK_START and BLOCK_END.
    """

    token: str
    children: tuple[Node, ...]
    first: int
    last: int


@cache
def _holes() -> dict[str, tuple[bool, ...]]:
    """Token -> for each hole, whether it is a block."""
    made = dict(productions().statements)
    for name in TYPES:
        made |= productions().of_type(name)
    holes = {token: tuple(h == "block" for h in opened if h[0] != "!") for token, opened in made.items()}
    return holes | {"FUNC_DEF": (False, True), "RETURN": (False,)}


def parse(tokens: tuple[int, ...]) -> Node:
    """The program as a block of statements. Raises LanguageError when holes stay open or tokens are left."""
    return parse_names(vocabulary().names(tokens))


def parse_names(names: tuple[str, ...]) -> Node:
    """The same, from names; one that the vocabulary does not have stands for itself and has no holes."""
    statements, place = _statements(names, 0, "END")
    if place != len(names):
        raise LanguageError(f"{len(names) - place} tokens after END")
    return Node(BLOCK, statements, 0, place - 1)


def parse_expression(names: tuple[str, ...]) -> Node:
    """One expression alone. Raises LanguageError when holes stay open or tokens are left."""
    node, place = _node(names, 0)
    if place != len(names):
        raise LanguageError(f"{len(names) - place} tokens after the expression")
    return node


def _statements(names: tuple[str, ...], place: int, closer: str) -> tuple[tuple[Node, ...], int]:
    found: list[Node] = []
    while _at(names, place) != closer:
        node, place = _node(names, place)
        found.append(node)
    return tuple(found), place + 1


def _node(names: tuple[str, ...], place: int) -> tuple[Node, int]:
    token, first = _at(names, place), place
    place += 1
    children: list[Node] = []
    for is_block in _holes().get(token, ()):
        if is_block:
            if _at(names, place) != "BLOCK_START":
                raise LanguageError(f"{token} needs BLOCK_START, not {names[place]}")
            start = place
            statements, place = _statements(names, place + 1, "BLOCK_END")
            children.append(Node(BLOCK, statements, start, place - 1))
        else:
            child, place = _node(names, place)
            children.append(child)
    return Node(token, tuple(children), first, place - 1), place


def _at(names: tuple[str, ...], place: int) -> str:
    if place >= len(names):
        raise LanguageError("the program is not complete: a hole is open at its end")
    return names[place]
