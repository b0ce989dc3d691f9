"""What a piece of source text says in tokens: the templates of a language map turned round, and idioms.

A rule is a pattern and what it says. The pattern is a template, read by the reader of its own language with
a name in the place of each hole; so whatever `render` writes is read back by the very file that wrote it.
What a template says is its token and its holes. An idiom, from configs/idioms, is another way in which
people write the same; what it says is any expression of the abstract language with `{k}` for its holes.

    steady   holes whose names must not change in the statement: they are read once, the idiom reads them often
    owned    holes whose value the idiom changes in place; it must have no second name
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from altlas_agent import resources
from altlas_agent.core.errors import LanguageError, boundary
from altlas_agent.languages.encode import javascript_reader, python_reader
from altlas_agent.languages.encode.pieces import DEPTHS, Piece
from altlas_agent.languages.tokens.grammar import TYPES, Holes, productions
from altlas_agent.languages.tokens.maps import language_map
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

READERS: dict[str, Callable[[str, int], Piece | None]] = {
    "python": python_reader.read,
    "javascript": javascript_reader.read,
}
"""The languages that can be read back into tokens: from source to pieces down to a depth, None if foreign."""

STATEMENT = "statement"
_SLOT = re.compile(r"\{(\d)\}")
_EMPTY: Holes = ()


class Say(NamedTuple):
    """A token with what fills its holes, or, without a token, the k-th hole of a pattern."""

    token: str
    children: tuple[Say, ...]
    hole: int


class Rule(NamedTuple):
    """Source that fits `pattern` says `says`, where a hole of `sort` is to be filled."""

    pattern: Piece
    says: Say
    sort: str
    steady: tuple[int, ...] = ()
    owned: tuple[int, ...] = ()
    names: frozenset[int] = frozenset()
    """Holes in which only a name can stand."""


class _Idiom(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str
    says: str
    sort: str = ""
    steady: tuple[int, ...] = ()
    owned: tuple[int, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str
    idioms: tuple[_Idiom, ...]


@cache
def openings() -> dict[str, tuple[str, Holes]]:
    """Token -> the sort that it produces, and the holes that it leaves, with the actions among them."""
    found = {token: (STATEMENT, holes) for token, holes in productions().statements.items()}
    found["RETURN"] = (STATEMENT, ("returns",))
    for name in TYPES:
        found |= {token: (name, holes) for token, holes in productions().of_type(name).items()}
    return found


@cache
def rules(language: str) -> dict[tuple[str, str], tuple[Rule, ...]]:
    """(sort, kind of piece) -> the rules that may say it, in the order in which they are tried.

    Raises LanguageError when a template or an idiom of the language cannot be read back.
    """
    found: dict[tuple[str, str], list[Rule]] = {}
    for rule in (*_templates(language), *_idioms(language)):
        found.setdefault((rule.sort, rule.pattern.kind), []).append(rule)
    return {key: tuple(made) for key, made in found.items()}


@cache
def idioms(language: str) -> _File:
    """The idioms of a language; none where it has no file. Raises LanguageError when the file is broken."""
    if language not in resources.names("configs", "idioms", ".json"):
        return _File("", ())
    with boundary(LanguageError, f"reading configs/idioms/{language}.json"):
        return msgspec.json.decode(resources.read_text("configs", f"idioms/{language}.json"), type=_File)


def _templates(language: str) -> Iterator[Rule]:
    syntax = language_map(language)
    retired = vocabulary().names(vocabulary().retired())
    for token, (sort, opened) in openings().items():
        if token not in syntax.tokens or token in retired:
            continue  # slots have no template: a reader knows names and literals by themselves
        kinds = tuple(hole for hole in opened if hole[0] != "!")
        says = Say(token, tuple(Say("", (), k) for k in range(len(kinds))), -1)
        blocks = frozenset(k for k, kind in enumerate(kinds) if kind == "block")
        read = pattern(language, syntax.template(token).text, blocks, sort)
        yield Rule(read, says, sort, names=frozenset(_standing(says, ("new_var", "old_var"))))


def _idioms(language: str) -> Iterator[Rule]:
    for idiom in idioms(language).idioms:
        where = f"configs/idioms/{language}.json: {idiom.text!r}"
        says, left = _say(idiom.says.split(), where)
        if left:
            raise LanguageError(f"{where}: {' '.join(left)} is left over in {idiom.says!r}")
        sort = idiom.sort or openings().get(says.token, ("", _EMPTY))[0]
        blocks = frozenset(_standing(says, ("block",)))
        names = frozenset(_standing(says, ("new_var", "old_var")))
        read = pattern(language, idiom.text, blocks, sort)
        yield Rule(read, says, sort, idiom.steady, idiom.owned, names)


def _say(words: list[str], where: str) -> tuple[Say, list[str]]:
    """Prefix notation as a tree, and the words behind it."""
    if not words:
        raise LanguageError(f"{where}: what it says ends too early")
    slot = _SLOT.fullmatch(words[0])
    if slot is not None:
        return Say("", (), int(slot[1])), words[1:]
    opened = openings().get(words[0])
    if opened is None:
        raise LanguageError(f"{where}: there is no token {words[0]!r}")
    children: list[Say] = []
    left = words[1:]
    for hole in opened[1]:
        if hole[0] != "!":
            child, left = _say(left, where)
            children.append(child)
    return Say(words[0], tuple(children), -1), left


def _standing(says: Say, wanted: tuple[str, ...]) -> Iterator[int]:
    """The holes of a rule that stand for something of the wanted sorts."""
    kinds = [hole for hole in openings()[says.token][1] if hole[0] != "!"] if says.token else []
    for kind, child in zip(kinds, says.children, strict=True):
        if kind in wanted and not child.token:
            yield child.hole
        yield from _standing(child, wanted)


def pattern(language: str, template: str, blocks: frozenset[int], sort: str) -> Piece:
    """A template as a piece, in which names such as `hole0_` stand for the holes.

    Raises LanguageError when its own language cannot read it.
    """
    style = language_map(language).block

    def name(found: re.Match[str]) -> str:
        hole = f"hole{found[1]}_"
        return f"{style.open}{hole}{style.close}" if int(found[1]) in blocks else hole

    text = _SLOT.sub(name, template)
    # As a value, so that no reader takes a lone literal for a remark.
    root = READERS[language](text if sort == STATEMENT else f"value_ = ({text})", DEPTHS[0])
    if root is None or len(root.children) != 1:
        raise LanguageError(f"the {language} template {template!r} cannot be read as one {sort}")
    return root.children[0] if sort == STATEMENT else root.children[0].children[1]
