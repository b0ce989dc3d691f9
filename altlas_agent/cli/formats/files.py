"""Files that a command is asked to write: complete under their name, or not there at all."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path


@contextmanager
def replacing(file: Path) -> Generator[Path]:
    """A path beside `file` to write to, which takes its place in the end; after an error nothing is left.

    Raises click.FileError when one of them cannot be written.
    """
    part = file.with_name(f".{file.name}.part")
    try:
        yield part
        part.replace(file)
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            raise
        raise click.FileError(str(file), error.strerror or str(error)) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
