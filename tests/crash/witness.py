"""A process of its own that reads while others are killed: what it saw once is acknowledged.

Prints a line of JSON whenever it sees more: the time, the new events and attempts by number with a digest
of each, and `wrong`, what must never be seen.
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from altlas_agent.core.errors import AltlasError
from altlas_agent.core.events import encode
from storage.database import FILE_NAME, open_reader
from storage.reading.announced import events_page

if TYPE_CHECKING:
    from collections.abc import Iterable

POLL_S = 0.01
RUN = 1
ATTEMPTS = (
    "SELECT a.number, a.policy_version, a.score, a.solved, a.tokens, a.logps, b.hash "
    "FROM attempts a JOIN bodies b ON b.id = a.code_id WHERE a.run_id = ? AND a.number > ? ORDER BY a.number"
)
COUNTS = (
    "SELECT r.attempts, (SELECT count(*) FROM attempts WHERE run_id = r.id), "
    "(SELECT sum(attempts) FROM tasks WHERE run_id = r.id), "
    "(SELECT count(*) FROM events WHERE run_id = r.id AND type = 'AttemptScored') FROM runs r WHERE r.id = ?"
)


class Seen:
    """What a reader sees of the first run of a home, as a digest by number."""

    def __init__(self) -> None:
        self.events: dict[int, str] = {}
        self.attempts: dict[int, str] = {}
        self.wrong: list[str] = []

    def look(self, connection: sqlite3.Connection) -> Seen:
        """What is there beyond what was seen; it counts as seen from now on. One consistent look."""
        new = Seen()
        connection.execute("BEGIN")
        try:
            while page := events_page(connection, RUN, max(self.events, default=0) + 1, limit=500):
                new.events |= {envelope.seq: _digest((encode(envelope),)) for envelope in page}
                self.events |= new.events
            number = max(self.attempts, default=0)
            new.attempts = {row[0]: _digest(row) for row in connection.execute(ATTEMPTS, (RUN, number))}
            self.attempts |= new.attempts
            for counts in connection.execute(COUNTS, (RUN,)):
                if set(counts) - {None} != {len(self.attempts)} and any(counts):
                    new.wrong.append(f"{len(self.attempts)} attempts are seen, counters say {counts}")
        finally:
            connection.execute("COMMIT")
        return new


def whole(home: Path) -> Seen:
    """All that a reader that comes now sees; nothing where there is no database."""
    seen = Seen()
    with suppress(AltlasError):
        connection = open_reader(home / FILE_NAME)
        try:
            seen.look(connection)
        finally:
            connection.close()
    return seen


def _digest(values: Iterable[object]) -> str:
    return blake2b(repr(tuple(values)).encode(), digest_size=8).hexdigest()


def watch(home: Path) -> None:
    """Until the parent is gone."""
    seen, connection, parent = Seen(), None, os.getppid()
    while os.getppid() == parent:
        try:
            connection = connection or open_reader(home / FILE_NAME)
            new = seen.look(connection)
        except (AltlasError, sqlite3.Error) as error:
            new = Seen()
            if seen.events:
                new.wrong.append(f"the reader failed: {error}")
        if new.events or new.attempts or new.wrong:
            line = {"t": time.monotonic(), "events": new.events, "attempts": new.attempts, "wrong": new.wrong}
            sys.stdout.write(json.dumps(line) + "\n")
            sys.stdout.flush()
        time.sleep(POLL_S)


if __name__ == "__main__":
    watch(Path(sys.argv[1]))
