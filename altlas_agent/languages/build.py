"""Name to language: the table of those that can be read without running them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.errors import LanguageError
from altlas_agent.languages.javascript import JavaScript
from altlas_agent.languages.loda import Loda
from altlas_agent.languages.python import Python

if TYPE_CHECKING:
    from altlas_agent.languages.base import Language

LANGUAGES: dict[str, Language] = {"python": Python(), "javascript": JavaScript(), "loda": Loda()}


def language(name: str) -> Language:
    """Raises LanguageError naming the languages that exist."""
    found = LANGUAGES.get(name)
    if found is None:
        raise LanguageError(f"no language {name!r}; there are: {', '.join(LANGUAGES)}")
    return found
