"""Reads configs/languages/*.json: from an abstract token to the syntax of one language."""

from __future__ import annotations

from functools import cache

import msgspec

from altlas_agent import resources
from altlas_agent.core.errors import LanguageError, boundary

ATOM_LEVEL = 99


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Text with `{0}`, `{1}` ... for the holes.

    `level` is how tightly the text binds (99: never needs brackets); a hole whose content binds less
    tightly than `needs` is put in brackets.
    """

    text: str
    level: int = ATOM_LEVEL
    needs: tuple[int, ...] = ()


class BlockStyle(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a list of statements is wrapped."""

    open: str
    close: str
    indent: str


class LanguageMap(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One language's syntax for the abstract tokens."""

    name: str
    extension: str
    block: BlockStyle
    postfix_level: int
    negative_level: int
    tokens: dict[str, Template | str]

    def template(self, token: str) -> Template:
        found = self.tokens.get(token)
        if found is None:
            raise LanguageError(f"configs/languages/{self.name}.json has no syntax for {token}")
        return found if isinstance(found, Template) else Template(text=found)


@cache
def language_map(language: str) -> LanguageMap:
    """Raises LanguageError when there is no such map, naming those that exist."""
    if language not in languages():
        raise LanguageError(f"no language {language!r}; there are: {', '.join(languages())}")
    with boundary(LanguageError, f"reading configs/languages/{language}.json"):
        return msgspec.json.decode(
            resources.read_text("configs", f"languages/{language}.json"), type=LanguageMap
        )


@cache
def languages() -> tuple[str, ...]:
    """The languages that have a map."""
    return tuple(name for name in resources.names("configs", "languages", ".json") if name != "execution")
