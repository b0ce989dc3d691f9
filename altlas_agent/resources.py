"""The only reader of prompts/ and configs/, in a checkout and in a wheel."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable


def read_text(package: str, path: str) -> str:
    """The text of a shipped file, by slash-separated path inside `configs` or `prompts`.

    Raises FileNotFoundError when it was not shipped.
    """
    return files(package).joinpath(path).read_text(encoding="utf-8")


def location(package: str, path: str = "") -> Path:
    """Where a shipped file or folder lies on disk (AltLAS is never run from a zip archive)."""
    return Path(str(files(package).joinpath(path)))


def names(package: str, folder: str, suffix: str) -> list[str]:
    """The names, without `suffix`, of the shipped files in a folder, sorted."""
    return sorted(
        entry.name.removesuffix(suffix) for entry in _entries(package, folder) if entry.name.endswith(suffix)
    )


def _entries(package: str, folder: str) -> Iterator[Traversable]:
    return files(package).joinpath(folder).iterdir()
