"""The thread side of the writer: takes what has gathered, commits it as one group, says so, checkpoints."""

from __future__ import annotations

import queue
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from altlas_agent.core.errors import StorageError
from storage import inserts
from storage.database import transaction, translate
from storage.rows import Rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import anyio

GROUP_ROWS = 500
"""A group takes no further batch once it holds this many rows."""

CHECKPOINT_S = 1.0
"""How often the WAL is copied into the database while there is something to copy."""


@dataclass(slots=True, eq=False)
class Batch:
    """One caller's part of a group. `action` runs after the rows of its group and ends the group."""

    rows: Rows
    action: Callable[[sqlite3.Connection], int | None] | None
    done: anyio.Event
    answer: int | None = None
    error: StorageError | None = None


class GroupCommitter:
    """Owns the connection while `run` runs. Every batch is answered, with an error after a failure."""

    def __init__(
        self, connection: sqlite3.Connection, path: Path, batches: queue.SimpleQueue[Batch | None]
    ) -> None:
        self.failure: StorageError | None = None
        self.groups = 0
        self.rows = 0
        self._connection = connection
        self._path = path
        self._batches = batches
        self._is_ending = False
        self._has_wal = False
        self._checkpoint_at = time.monotonic() + CHECKPOINT_S

    def run(self, answer: Callable[[list[Batch]], None]) -> None:
        """Commit until the queue brings None. `answer` is called after each group, committed or failed."""
        try:
            while not self._is_ending:
                group = self._take()
                if group:
                    self._commit(group)
                    answer(group)
                self._checkpoint_if_due()
        finally:
            self._connection.close()

    def _take(self) -> list[Batch]:
        """What waits, in order, up to a group; nothing when it is time to checkpoint or to end."""
        group: list[Batch] = []
        num_rows = 0
        try:
            batch = self._batches.get(timeout=CHECKPOINT_S if self._has_wal else None)
            while batch is not None:
                group.append(batch)
                num_rows += len(batch.rows)
                if batch.action or num_rows >= GROUP_ROWS:
                    return group
                batch = self._batches.get_nowait()
            self._is_ending = True
        except queue.Empty:
            pass
        return group

    def _commit(self, group: list[Batch]) -> None:
        if self.failure is None:
            try:
                self._write(group)
            except sqlite3.Error as error:
                self.failure = translate(error, self._path)
            except Exception as error:  # noqa: BLE001 - whatever a value does to the driver, callers must hear
                self.failure = StorageError(f"{self._path}: a row cannot be stored: {error}")
        for batch in group:
            batch.error = self.failure

    def _write(self, group: list[Batch]) -> None:
        rows = Rows()
        for batch in group:
            rows.extend(batch.rows)
        action = group[-1].action
        if not rows and not action:
            return
        with transaction(self._connection):
            inserts.insert(self._connection, rows)
            if action:
                group[-1].answer = action(self._connection)
        self._has_wal = True
        self.groups += 1
        self.rows += len(rows)

    def _checkpoint_if_due(self) -> None:
        if not self._has_wal or time.monotonic() < self._checkpoint_at:
            return
        try:
            _, in_wal, copied = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            self.failure = self.failure or translate(error, self._path)
            self._has_wal = False
            return
        self._has_wal = in_wal != copied  # a reader may pin a part: try again
        self._checkpoint_at = time.monotonic() + CHECKPOINT_S
