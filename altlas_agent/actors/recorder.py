"""Events to storage and back: the one listener that may hold up a publisher, so that no fact is lost.

loop             waits for                    unblocked by
---------------  ---------------------------  ---------------------------------
`run`            events, then their commit    a publisher, then the writer
`committed`      the commit of an event       `run`, also when it ends
`read`           a page of stored events      a thread
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from altlas_agent.core.errors import StorageError
from altlas_agent.core.events import (
    AttemptScored,
    CheckpointSaved,
    JailChosen,
    PolicyUpdated,
    RunEnded,
    TaskSolved,
)
from storage.database import open_reader
from storage.packing.replay import is_kept_whole
from storage.reading.announced import events_page
from storage.rows import (
    CheckpointRow,
    EndRow,
    Rows,
    SolvedRow,
    attempt_row,
    event_row,
    jail_row,
    metric_rows,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from altlas_agent.core.bus.bus import Bus
    from altlas_agent.core.events import Envelope
    from altlas_agent.core.records import Judged
    from storage.writer import Writer

MAX_EVENTS = 500
"""How many events one commit takes at most."""


class Recorder:
    """Stores the durable events of one run, as the store of its bus. It listens from the moment it is made.

    A StorageError ends `run` and with it the run: nothing goes on that is not stored.
    """

    name = "recorder"

    def __init__(self, bus: Bus, writer: Writer) -> None:
        self._run_id = bus.run_id
        self._committed_seq = bus.last_seq
        self._subscription = bus.attach(self)
        self._writer = writer
        self._moved = anyio.Event()
        self._has_ended = False

    async def run(self) -> None:
        """Store events until the bus is closed and everything in it is committed; cancelled, what is queued.

        Raises StorageError.
        """
        try:
            while envelopes := await self._subscription.receive_batch(MAX_EVENTS):
                await self._store(envelopes)
        except anyio.get_cancelled_exc_class():
            await self._store(self._subscription.drain_nowait())
            raise
        finally:
            self._has_ended = True
            self._subscription.close()  # whoever announces something now is told that it is not kept
            self._tell()

    @property
    def committed_seq(self) -> int:
        """The last event that is on disk."""
        return self._committed_seq

    async def committed(self, seq: int) -> None:
        """Wait until the event `seq` is on disk. Raises StorageError when it will never be."""
        while self._committed_seq < seq:
            if self._has_ended:
                raise StorageError(
                    f"event {seq} was not stored: the recorder ended at event {self._committed_seq}"
                )
            await self._moved.wait()

    async def read(self, from_seq: int, limit: int) -> list[Envelope]:
        """Stored events from `from_seq` on, at most `limit`. Raises StorageError."""
        return await to_thread.run_sync(self._read, from_seq, limit)

    def _read(self, from_seq: int, limit: int) -> list[Envelope]:
        with closing(open_reader(self._writer.path)) as connection:
            return events_page(connection, self._run_id, from_seq, limit=limit)

    async def _store(self, envelopes: list[Envelope]) -> None:
        if not envelopes:
            return
        with anyio.CancelScope(shield=True):  # they have left the queue: dropped here, they would be lost
            await self._writer.durable(rows_of(envelopes))
        self._committed_seq = envelopes[-1].seq
        self._tell()

    def _tell(self) -> None:
        self._moved.set()
        self._moved = anyio.Event()


def rows_of(envelopes: Iterable[Envelope]) -> Rows:
    """The rows that stand for these durable events, one commit's worth."""
    rows = Rows()
    for envelope in envelopes:
        if isinstance(envelope.event, AttemptScored):
            _add_attempt(rows, envelope, envelope.event.judged)
        else:
            rows.events.append(event_row(envelope))
            _add_facts(rows, envelope)
    return rows


def _add_attempt(rows: Rows, envelope: Envelope, judged: Judged) -> None:
    attempt = attempt_row(envelope.run_id, judged, ts_ns=envelope.wall_ns)
    rows.attempts.append(attempt)
    shared = None if is_kept_whole(judged) else attempt
    rows.events.append(event_row(envelope, shared))


def _add_facts(rows: Rows, envelope: Envelope) -> None:
    run_id, ts_ns = envelope.run_id, envelope.wall_ns
    match envelope.event:
        case TaskSolved(task_key=key, attempt_number=number):
            rows.solved.append(SolvedRow(run_id, key, number))
        case PolicyUpdated(version=version, metrics=metrics):
            rows.metrics += metric_rows(run_id, version, metrics, ts_ns=ts_ns)
        case CheckpointSaved(version=version, path=path, sha256=sha256):
            seq = envelope.seq - 1 if envelope.cause_seq is None else envelope.cause_seq
            rows.checkpoints.append(CheckpointRow(run_id, version, path, sha256, ts_ns, seq))
        case JailChosen(rung=rung, layers=layers):
            rows.jails.append(jail_row(run_id, rung, layers))
        case RunEnded(reason=reason):
            rows.ends.append(EndRow(run_id, "ended", reason, ts_ns))
        case _:
            pass  # the events row says it all
