"""Want of memory, told from bugs: torch and Python say it in many words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from altlas_agent.core.errors import PolicyError

if TYPE_CHECKING:
    from collections.abc import Generator

_WORDS = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc")


def is_want_of_memory(error: Exception) -> bool:
    """Whether memory ran out, be it the machine's or an accelerator's."""
    return isinstance(error, MemoryError) or any(words in str(error) for words in _WORDS)


@contextmanager
def memory_for(doing: str) -> Generator[None]:
    """Raises PolicyError that says what to do when memory runs out in the block."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_want_of_memory(error):
            raise
        raise PolicyError(f"{no_memory(doing)} ({error})"[:500]) from error


def no_memory(doing: str) -> str:
    """What is said when there is none."""
    return f"there is no memory {doing}: give the student more, or take a smaller tasks.group_size or policy.hidden"
