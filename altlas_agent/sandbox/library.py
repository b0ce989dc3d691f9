"""Library: modules of ours that a Python in a jail finds beside its own, loaded before the first program."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from altlas_agent.core.errors import ServiceMissingError

INSIDE = "/sbx"
"""Where they lie in a jail."""

OUTSIDE = Path(__file__).parents[2]
"""The folder of the package `altlas_agent`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """`paths` as seen from the folder of `altlas_agent`, `modules` by the names they are imported under.

    They import nothing but each other, `extensions` and the standard library. An extension is a compiled module
    that is installed here and fits any Python, by its name.
    """

    paths: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()

    def files(self) -> dict[str, bytes]:
        """What a jail is given. Raises ServiceMissingError for an extension that is not installed."""
        compiled = map(extension, self.extensions)
        return {f"{INSIDE}/{path}": (OUTSIDE / path).read_bytes() for path in self.paths} | {
            f"{INSIDE}/{path.name}": path.read_bytes() for path in compiled
        }

    def folders(self) -> tuple[str, ...]:
        """Where a Python without a jail finds them."""
        return (str(OUTSIDE), *dict.fromkeys(str(extension(name).parent) for name in self.extensions))


def extension(name: str) -> Path:
    """The file of a compiled module. Raises ServiceMissingError when it is not installed."""
    found = importlib.util.find_spec(name)
    if found is None or not found.origin:
        raise ServiceMissingError(f"there is no Python module {name}; install the package that holds it")
    return Path(found.origin)


EMPTY = Library()
