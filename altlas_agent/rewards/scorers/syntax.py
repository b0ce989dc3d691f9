"""Is it a program at all, and if not, how far is it one.

A language is read by a function of this module's table; one that has none is asked for its structure, which
tells only yes or no.
"""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import TYPE_CHECKING

from altlas_agent.languages.base import MAX_CODE_CHARS
from altlas_agent.languages.build import language
from altlas_agent.languages.javascript import first_error

if TYPE_CHECKING:
    from collections.abc import Callable

BROKEN_MOST = 0.5
"""What a text comes to that is a program up to its last letter."""


@lru_cache(4)  # several scorers ask for the same text
def syntax(name: str, code: str) -> float:
    """1 for a program of the language, else at most `BROKEN_MOST`: the share of the text before its first error.

    0 for a text that exhausts the parser. Raises LanguageError for a language that is not known.
    """
    if len(code) > MAX_CODE_CHARS:
        return 0.0
    broken_at = _FIRST_ERRORS.get(name)
    if broken_at is None:
        return 1.0 if language(name).structure(code) is not None else 0.0
    place = broken_at(code)
    if place is None:
        return 1.0
    return BROKEN_MOST * min(max(place, 0), len(code)) / max(len(code), 1)


def _python(code: str) -> int | None:
    try:
        ast.parse(code)
    except SyntaxError as error:
        lines = code.split("\n")[: max((error.lineno or 1) - 1, 0)]
        return sum(len(line) + 1 for line in lines) + max((error.offset or 1) - 1, 0)
    except (ValueError, MemoryError, RecursionError):
        return 0
    return None


def _javascript(code: str) -> int | None:
    return first_error(code)


_FIRST_ERRORS: dict[str, Callable[[str], int | None]] = {"python": _python, "javascript": _javascript}
