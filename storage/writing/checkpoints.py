"""When the WAL is copied back into the database: about each second, and at once when it grows large.

Readers that keep a statement open pin the WAL: what they may still need cannot be written over. Readers of
ours do not, so that waiting for them for a moment lets the WAL begin anew.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

KEPT_BYTES = 16 * 1024 * 1024
"""What is left of the file when the WAL begins anew: a file that is longer is as long as the WAL."""

URGENT_BYTES = 16 * 1024 * 1024
"""The WAL is copied at once when it is longer."""

INSISTENT_BYTES = 32 * 1024 * 1024
"""Then readers are waited for, so that it can begin anew."""

INSISTENT_S = 0.05
"""How long: nothing is committed meanwhile."""

ALARMING_BYTES = 64 * 1024 * 1024
"""Only a reader that never lets go makes it as long as that."""

PINNED_S = 1.0
"""How long to leave it when readers did not let go."""

_log = logging.getLogger(__name__)


class Checkpoints:
    """Of the connection that writes, and only of that: two that copy at once can damage the database."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        connection.execute(f"PRAGMA journal_size_limit = {KEPT_BYTES}")
        self.is_due = False
        """True while there is something in the WAL that is not in the database."""
        self._connection = connection
        self._path = path
        self._wal = path.with_name(path.name + "-wal")
        self._bytes = 0
        self._not_before = 0.0
        self._is_alarming = False
        self._version = self._data_version()

    @property
    def is_urgent(self) -> bool:
        return self._bytes > URGENT_BYTES and time.monotonic() >= self._not_before

    def committed(self) -> None:
        """Something was written to the WAL."""
        self.is_due = True
        self._bytes = self._size()

    def run(self) -> None:
        """Copy what can be copied. Raises sqlite3.Error."""
        is_busy, in_wal, copied = self._insist() if self._bytes > INSISTENT_BYTES else self._copy("PASSIVE")
        self.is_due = in_wal != copied  # a reader may pin a part: try again
        if is_busy or self.is_due:
            self._not_before = time.monotonic() + PINNED_S
        else:
            self._bytes = 0  # the next commit begins it anew and cuts the file
        self._warn()

    def _insist(self) -> tuple[int, int, int]:
        (patience,) = self._connection.execute("PRAGMA busy_timeout").fetchone()
        self._connection.execute(f"PRAGMA busy_timeout = {int(INSISTENT_S * 1000)}")
        try:
            return self._copy("RESTART")
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {patience}")

    def _copy(self, mode: str) -> tuple[int, int, int]:
        """Whether somebody was in the way, and how many pages are in the WAL and of those in the database."""
        is_busy, in_wal, copied = self._connection.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        return is_busy, in_wal, copied

    def watch(self) -> None:
        """Warn when another program has written the database: that is how one with the WAL-reset bug dies."""
        if (version := self._data_version()) != self._version:
            self._version = version
            _log.warning("%s was written by another program: only AltLAS may do that", self._path)

    def _data_version(self) -> int:
        """Changes with every commit of another connection, and with none of this one."""
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def _warn(self) -> None:
        is_alarming = self._size() > ALARMING_BYTES
        if is_alarming and not self._is_alarming:
            _log.warning("%s is %d MB long: a reader does not let go of it", self._wal, self._size() >> 20)
        self._is_alarming = is_alarming

    def _size(self) -> int:
        try:
            return self._wal.stat().st_size
        except FileNotFoundError:
            return 0
