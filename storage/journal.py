"""The daemon's own events: what concerns no run, or cannot wait until the event loop gives it a number.

They are kept as the events of run 0, which no list shows. The writer numbers them as it stores them, so
that any thread may add one, also while the event loop stands still.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.bus.packing import pack

if TYPE_CHECKING:
    import sqlite3

    from altlas_agent.core.clock import Clock
    from altlas_agent.core.events import AnyEvent
    from storage.writer import Writer

JOURNAL_RUN = 0
"""The run under whose number the journal is kept."""

_OPEN = (
    "INSERT INTO runs (id, name, suite, seed, status, reason, started_ns, version, pid, jail_rung, jail_layers, "
    "attempts, solved, tasks, wall_s, settings_json) "
    "VALUES (0, '', '', 0, 'ended', 'the journal of the daemon', ?, '', 0, '', '[]', 0, 0, 0, 0, '{}') "
    "ON CONFLICT (id) DO NOTHING"
)
_ADD = (
    "INSERT INTO events (run_id, seq, type, monotonic_ns, wall_ns, payload) "
    "VALUES (0, 1 + coalesce((SELECT max(seq) FROM events WHERE run_id = 0), 0), ?, ?, ?, ?)"
)


class Journal:
    """Where the daemon writes what happened to it."""

    def __init__(self, writer: Writer, clock: Clock) -> None:
        self._writer = writer
        self._clock = clock

    def add(self, event: AnyEvent) -> None:
        """Have it stored soon; from any thread, without waiting. Raises EventRefused or StorageError."""
        payload = pack(event)
        row = (type(event).__name__, self._clock.monotonic_ns(), self._clock.wall_ns(), payload)

        def store(connection: sqlite3.Connection) -> None:
            connection.execute(_OPEN, (row[2],))
            connection.execute(_ADD, row)

        self._writer.post(store)
