"""The end of a log file, and what is added to it, also when a new file takes its place."""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path
    from typing import TextIO

LOOK_S = 0.25
LOOKS = 20
"""So often the rest of a line is looked for."""


def lines_of(path: Path, *, last: int, follow: bool) -> Generator[str]:
    """The last lines of a log, and with `follow` those that come, without end. A file that is missing is empty."""
    file = _opened(path)
    try:
        if file is not None:
            yield from deque((line.rstrip("\n") for line in file), maxlen=last)
        while follow:
            if file is not None:
                yield from _added(file)
            time.sleep(LOOK_S)
            if file is None or _was_replaced(path, file):
                file, old = _opened(path), file
                if old is not None:
                    old.close()
    finally:
        if file is not None:
            file.close()


def _added(file: TextIO) -> Iterator[str]:
    """The lines that are there now; one that its writer is in the middle of is waited for."""
    while line := file.readline():
        for _ in range(LOOKS):
            if line.endswith("\n"):
                break
            time.sleep(LOOK_S)
            line += file.readline()
        yield line.rstrip("\n")


def _opened(path: Path) -> TextIO | None:
    try:
        return path.open(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _was_replaced(path: Path, file: TextIO) -> bool:
    """Whether the name leads to another file by now, or to one that begins anew."""
    try:
        named, held = path.stat(), os.fstat(file.fileno())
    except OSError:
        return False
    return named.st_ino != held.st_ino or named.st_size < file.tell()
