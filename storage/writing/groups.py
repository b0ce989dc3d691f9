"""The thread side of the writer: takes what has gathered, commits it as one group, says so, checkpoints.

A lock of another program and a full disk are pauses, not failures: the group is tried again until it is
stored, nothing is dropped, and whoever hands over more waits. Only when a pause has lasted too long does
it end as the failure of everybody who waits.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from altlas_agent.core.errors import StorageError
from storage import fingerprints, inserts, search
from storage.bodies import hashes
from storage.database import Pause, pause_of, transaction, translate
from storage.packing.archive import Archive
from storage.rows import Rows
from storage.writing.checkpoints import Checkpoints

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

GROUP_ROWS = 500
"""A group takes no further batch once it holds this many rows."""

TICK_S = 1.0
"""How often the thread looks after the database while there is something to do."""

BREATH_S = 0.05
"""How long nobody must have come before the search is brought up to date out of turn."""

BUSY_S = 1.0
"""How long SQLite waits for a lock before the pause is declared and the group tried again."""

RETRY_S = 0.5
"""How long to wait before a full disk is tried again."""

PATIENCE_S = {Pause.DB_BUSY: 120.0, Pause.DISK_FULL: 600.0}
"""How long a pause may last."""

CLOSING_PATIENCE_S = 5.0
"""How long it may last once the writer is being closed."""

SEARCH_ROWS = 200
"""How many attempts are looked at for the search in one transaction."""

FOLLOWED_ROWS = 20_000
"""How many fingerprints, and hashes of texts, are taken in in one transaction."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Batch:
    """One caller's part of a group. `action` runs after the rows of its group and ends the group."""

    rows: Rows
    action: Callable[[sqlite3.Connection], int | None] | None
    number: int
    """Batches count from 1, in the order in which they are taken and answered; 0: nobody waits for it."""
    num_rows: int
    """At least 1, where somebody waits."""
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
        self.pause: Pause | None = None
        self.closing = threading.Event()
        """Set by whoever closes: a pause is not waited for as long."""
        self._connection = connection
        self._path = path
        self._batches = batches
        self._checkpoints = Checkpoints(connection, path)
        self._archive: Archive | None = None
        self._is_ending = False
        self._has_unindexed = True
        self._tick_at = time.monotonic() + TICK_S

    def run(
        self, answer: Callable[[list[Batch]], None], tell: Callable[[Pause | None], None] = lambda _: None
    ) -> None:
        """Commit until the queue brings None.

        `answer` is called after each group, committed or failed; `tell` when a pause begins, and with None
        when it is over.
        """
        self._connection.execute(f"PRAGMA busy_timeout = {int(BUSY_S * 1000)}")
        try:
            while not self._is_ending:
                group = self._take()
                if group:
                    self._commit(group, tell)
                    answer(group)
                self._look_after(is_idle=not group)
            self._index_the_rest()
        finally:
            self._connection.close()

    def _take(self) -> list[Batch]:
        """What waits, in order, up to a group; nothing when it is time to look after the database or to end."""
        group: list[Batch] = []
        num_rows = 0
        try:
            batch = self._batches.get(timeout=self._patience_s)
            while batch is not None:
                group.append(batch)
                num_rows += batch.num_rows
                if batch.action or num_rows >= GROUP_ROWS:
                    return group
                batch = self._batches.get_nowait()
            self._is_ending = True
        except queue.Empty:
            pass
        return group

    @property
    def _patience_s(self) -> float | None:
        """How long to wait for a batch, before something else is looked after."""
        if self.failure:
            return None
        if self._has_unindexed:
            return BREATH_S
        return TICK_S if self._checkpoints.is_due else None

    def _commit(self, group: list[Batch], tell: Callable[[Pause | None], None]) -> None:
        began, pause = time.monotonic(), None
        while self.failure is None:
            try:
                self._write(group)
                break
            except sqlite3.Error as error:
                self._archive = None  # it remembers what was rolled back
                pause = self._paused(error, began, tell)
            except Exception as error:  # noqa: BLE001 - whatever a value does to the driver, callers must hear
                self.failure = _because(self._path, "a row cannot be stored", error)
        if pause:
            self._tell(None, tell)
        for batch in group:
            batch.error = self.failure

    def _paused(
        self, error: sqlite3.Error, began: float, tell: Callable[[Pause | None], None]
    ) -> Pause | None:
        """Wait a moment if it may work later; otherwise note the failure."""
        pause = pause_of(error)
        waited_s = time.monotonic() - began
        if pause is None:
            self.failure = translate(error, self._path)
        elif waited_s > (CLOSING_PATIENCE_S if self.closing.is_set() else PATIENCE_S[pause]):
            gave_up = translate(error, self._path)
            self.failure = type(gave_up)(f"{gave_up.message}; waited {waited_s:.0f} s for it")
        else:
            self._tell(pause, tell)
            if pause is Pause.DISK_FULL:  # SQLite has waited for a lock itself
                self.closing.wait(RETRY_S)
        return pause

    def _tell(self, pause: Pause | None, tell: Callable[[Pause | None], None]) -> None:
        if pause is self.pause:
            return
        if pause:
            _log.warning("%s: writing waits, nothing is lost: %s", self._path, pause.value)
        else:
            _log.info("%s: writing goes on", self._path)
        self.pause = pause
        tell(pause)

    def _write(self, group: list[Batch]) -> None:
        rows = Rows()
        for batch in group:
            rows.extend(batch.rows)
        action = group[-1].action
        if not rows and not action:
            return
        with transaction(self._connection):
            if self._archive is None:
                self._archive = Archive(self._connection)
            inserts.insert(self._connection, rows, self._archive)
            if action:
                group[-1].answer = action(self._connection)
                self._archive.forget_tasks()
        self._checkpoints.committed()
        self._has_unindexed = self._has_unindexed or bool(rows.attempts)
        self.groups += 1
        self.rows += len(rows)

    def _look_after(self, *, is_idle: bool) -> None:
        """Copy the WAL back, and let what follows the attempts catch up, when nobody waits or it is time."""
        if self.failure:
            return
        now = time.monotonic()
        is_time = now >= self._tick_at
        try:
            if self._checkpoints.is_urgent or (is_time and self._checkpoints.is_due):
                self._checkpoints.run()
            if is_time:
                self._tick_at = now + TICK_S
                self._checkpoints.watch()
            if is_time or is_idle:
                self._index()
        except sqlite3.Error as error:
            if pause_of(error) is None:  # otherwise it is tried again at the next tick
                self.failure = translate(error, self._path)
        except StorageError as error:  # a text that is damaged
            self.failure = error

    def _index(self) -> None:
        if self._has_unindexed:
            with transaction(self._connection):
                has_more = fingerprints.follow(self._connection, limit=FOLLOWED_ROWS)
                has_more = hashes.follow(self._connection, limit=FOLLOWED_ROWS) or has_more
                self._has_unindexed = search.index(self._connection, limit=SEARCH_ROWS) or has_more
            self._checkpoints.committed()
            if self._archive:
                self._archive.followed()

    def _index_the_rest(self) -> None:
        """As much as there is time for; the next writer goes on where this one stops."""
        until = time.monotonic() + TICK_S / 2
        try:
            while self._has_unindexed and not self.failure and time.monotonic() < until:
                self._index()
        except (sqlite3.Error, StorageError) as error:
            _log.warning("%s: the search is not up to date: %s", self._path, error)


def _because(path: Path, what: str, error: Exception) -> StorageError:
    return error if isinstance(error, StorageError) else StorageError(f"{path}: {what}: {error}")
