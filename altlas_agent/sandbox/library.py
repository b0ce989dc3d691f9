"""Library: modules of ours that a Python in a jail finds beside its own, loaded before the first program."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

INSIDE = "/sbx"
"""Where they lie in a jail."""

OUTSIDE = Path(__file__).parents[2]
"""The folder of the package `altlas_agent`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """`paths` as seen from the folder of `altlas_agent`, `modules` by the names they are imported under.

    They import nothing but each other and the standard library.
    """

    paths: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()

    def files(self) -> dict[str, bytes]:
        """What a jail is given."""
        return {f"{INSIDE}/{path}": (OUTSIDE / path).read_bytes() for path in self.paths}


EMPTY = Library()
