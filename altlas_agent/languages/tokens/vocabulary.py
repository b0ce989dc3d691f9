"""Abstract tokens and their roles: the closed alphabet in which every policy writes."""

from __future__ import annotations

from functools import cache

import msgspec

from altlas_agent import resources
from altlas_agent.core.errors import LanguageError, boundary


class Token(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`marks` are the operators and constructs that the token brings into a program."""

    name: str
    role: str
    marks: tuple[str, ...] = ()


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    about: str
    roles: dict[str, str]
    tokens: tuple[Token, ...]


class Vocabulary:
    """Names and numbers of the abstract tokens; a token's number is its place in the file."""

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self.tokens = tokens
        self.number = {token.name: number for number, token in enumerate(tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def names(self, numbers: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(self.tokens[number].name for number in numbers)

    def numbers(self, text: str) -> tuple[int, ...]:
        """Token numbers of space-separated names. Raises LanguageError for an unknown name."""
        names = text.split()
        unknown = [name for name in names if name not in self.number]
        if unknown:
            raise LanguageError(f"configs/vocabulary.json has no token {unknown[0]!r}")
        return tuple(self.number[name] for name in names)

    def marked(self, marks: frozenset[str]) -> tuple[int, ...]:
        """The tokens that bring any of `marks` into a program."""
        return tuple(n for n, token in enumerate(self.tokens) if marks.intersection(token.marks))


@cache
def vocabulary() -> Vocabulary:
    """The shipped vocabulary. Raises LanguageError when the file is broken."""
    with boundary(LanguageError, "reading configs/vocabulary.json"):
        file = msgspec.json.decode(resources.read_text("configs", "vocabulary.json"), type=_File)
    strays = [token.name for token in file.tokens if token.role not in file.roles]
    if strays or len({token.name for token in file.tokens}) < len(file.tokens):
        raise LanguageError(f"configs/vocabulary.json: a name occurs twice, or a role is unknown: {strays}")
    return Vocabulary(file.tokens)
