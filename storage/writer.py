"""The one writer: a thread with a plain connection that commits whatever has gathered, as one group.

    loop                 waits for                  unblocked by
    -------------------  -------------------------  ---------------------------------------------
    caller, `submit`     room among the batches     the thread, after each group
    caller, the others   the commit of its batch    the thread, after each group
    the thread           a batch                    a caller; a timer, to checkpoint; `close`
    the thread, paused   a lock, room on the disk   whoever has it; its patience ends, with an error

Callers live on one event loop, asyncio or trio. There is one hop into the thread and one back per
group, however many callers it serves, and nobody is told of success before the commit has returned.
"""

from __future__ import annotations

import queue
import threading
from functools import partial
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from altlas_agent.core.errors import StorageError
from altlas_agent.core.records import Record
from storage import inserts
from storage.database import open_writer
from storage.rows import Rows
from storage.runs import deletion, exams, marks
from storage.writing.groups import Batch, GroupCommitter
from storage.writing.hops import hop

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from altlas_agent.core.records import Task
    from storage.database import Pause
    from storage.rows import EndRow, RunRow
    from storage.runs.exams import ExamRow
    from storage.writing.hops import Hop

MAX_ROWS = 1024
"""How many rows may wait or be under way before a caller waits. An empty batch counts as one."""


UNASKED = 0
"""The number of a batch for whose commit nobody waits."""


class WriterStatistics(Record, frozen=True):
    """The writer in numbers."""

    waiting: int
    groups: int
    rows: int
    pause: Pause | None
    """What it waits for: nothing more is committed until then, and nothing is lost."""


class Writer:
    """Writes the database of one home. Use as `async with Writer(path) as writer`, once.

    Entering opens the database, migrates it if it must, and marks the runs that a killed process left
    behind as crashed: the caller holds the lock of the home. Leaving commits what was submitted.
    A lock of another program and a full disk are waited for; `on_pause` hears of it on the event loop, and
    with None when it is over. After a failed group nothing more is written: that failure is what every
    later call raises.
    """

    def __init__(self, path: Path, *, on_pause: Callable[[Pause | None], None] = lambda _: None) -> None:
        self.path = path
        self._on_pause = on_pause
        self._batches: queue.SimpleQueue[Batch | None] = queue.SimpleQueue()
        # Batches are answered in the order in which they came, so that counting them is enough, and one
        # event per group wakes everybody: one for each batch would cost more than storing it.
        self._num_taken = 0
        self._num_answered = 0
        self._num_rows = 0
        self._answered = anyio.Event()
        self._finished = anyio.Event()
        self._is_closed = True
        self._committer: GroupCommitter | None = None

    async def __aenter__(self) -> Self:
        connection = await to_thread.run_sync(open_writer, self.path)
        self._committer = GroupCommitter(connection, self.path, self._batches)
        work = (self._committer, hop())
        # A daemon: if the event loop dies without `close`, this must not keep the process alive.
        threading.Thread(target=self._run, args=work, name="altlas-writer", daemon=True).start()
        self._is_closed = False
        try:
            await self._act(inserts.close_stale_runs)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            await self.close()
        else:
            await self._end()

    async def begin_run(self, run: RunRow, tasks: Sequence[Task]) -> int:
        """Store a new run with its tasks; returns its number, after the commit."""
        run_id = await self._act(lambda connection: inserts.begin_run(connection, run, tasks))
        assert run_id is not None, "begin_run answers with a number"
        return run_id

    async def end_run(self, end: EndRow) -> None:
        """Store how a run ended; returns after the commit of that and of everything submitted before."""
        await self._act(lambda connection: inserts.end_run(connection, end))

    async def resume_run(self, run_id: int, *, pid: int, now_ns: int) -> bool:
        """Store that a run that was over goes on; False when it is running, being deleted, or not there."""
        return await self._changed(
            lambda connection: marks.resume(connection, run_id, pid=pid, now_ns=now_ns)
        )

    async def set_note(self, run_id: int, note: str) -> bool:
        """Replace the note of a run; False when there is no such run."""
        return await self._changed(lambda connection: marks.set_note(connection, run_id, note))

    async def retag(self, run_id: int, *, add: Sequence[str] = (), remove: Sequence[str] = ()) -> bool:
        """Add and then remove tags of a run; False when there is no such run."""
        return await self._changed(lambda connection: marks.retag(connection, run_id, add=add, remove=remove))

    async def keep_exam(self, exam: ExamRow) -> bool:
        """Store an exam of a run; False when there is no such run."""
        return await self._changed(lambda connection: exams.keep(connection, exam))

    async def delete_run(self, run_id: int) -> bool:
        """Take a run away, in pieces between which others are served; False when it is running, or not there.

        Cancelled or killed, it leaves a run that is `deleting`; called again, it goes on.
        """
        if not await self._changed(lambda connection: deletion.mark(connection, run_id)):
            return False
        while await self._changed(lambda connection: deletion.delete_piece(connection, run_id)):
            pass
        return True

    async def submit(self, rows: Rows) -> None:
        """Hand `rows` over to be stored; waits only for room. They belong to the writer from now on."""
        if self._num_rows >= MAX_ROWS:
            await self._room()
        self._put(rows, None)

    async def durable(self, rows: Rows) -> None:
        """Store `rows`; returns after the commit that contains them."""
        if self._num_rows >= MAX_ROWS:
            await self._room()
        await self._committed(self._put(rows, None))

    async def flush(self) -> None:
        """Wait until everything submitted so far is committed."""
        await self.durable(Rows())

    def post(self, action: Callable[[sqlite3.Connection], None]) -> None:
        """Have `action` done in a transaction of its own; from any thread, and nobody hears when it is.

        This works while the event loop stands still, too.
        """
        self._refuse()
        self._batches.put(Batch(Rows(), action, number=UNASKED, num_rows=0))

    async def close(self) -> None:
        """Commit what was submitted and close the database; a second call does nothing."""
        if not self._is_closed:
            await self._end()
            self._raise_failure()

    def statistics(self) -> WriterStatistics:
        """What was committed so far, how many batches wait for it, and what it waits for."""
        done = self._committer
        return WriterStatistics(
            waiting=self._batches.qsize(),
            groups=done.groups if done else 0,
            rows=done.rows if done else 0,
            pause=done.pause if done else None,
        )

    async def _changed(self, action: Callable[[sqlite3.Connection], int | None]) -> bool:
        return bool(await self._act(action))

    async def _act(self, action: Callable[[sqlite3.Connection], int | None]) -> int | None:
        await self._room()
        batch = self._put(Rows(), action)
        await self._committed(batch)
        return batch.answer

    async def _room(self) -> None:
        while self._num_rows >= MAX_ROWS:
            await self._answered.wait()

    def _put(self, rows: Rows, action: Callable[[sqlite3.Connection], int | None] | None) -> Batch:
        if self._is_closed or (self._committer and self._committer.failure):
            self._refuse()
        self._num_taken += 1
        num_rows = len(rows) or 1
        batch = Batch(rows, action, self._num_taken, num_rows)
        self._num_rows += num_rows
        self._batches.put(batch)
        return batch

    async def _committed(self, batch: Batch) -> None:
        while self._num_answered < batch.number:
            if self._finished.is_set():
                raise StorageError(f"{self.path}: the writer ended before this was stored")
            await self._answered.wait()
        if batch.error:
            raise _again(batch.error)

    def _refuse(self) -> None:
        """Raise what keeps it from storing anything, if something does."""
        if self._is_closed:
            raise StorageError(f"{self.path} is not open for writing")
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._committer and self._committer.failure:
            raise _again(self._committer.failure)

    async def _end(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        assert self._committer, "what is open has a committer"
        self._committer.closing.set()
        with anyio.CancelScope(shield=True):  # what was submitted is committed, cancelled or not
            self._batches.put(None)
            await self._finished.wait()

    def _run(self, committer: GroupCommitter, call: Hop) -> None:
        try:
            committer.run(partial(call, self._answer), partial(call, self._on_pause))
        finally:
            call(self._finish)

    def _finish(self) -> None:
        self._finished.set()
        self._answer([])

    def _answer(self, group: list[Batch]) -> None:
        self._num_answered += sum(batch.number != UNASKED for batch in group)
        self._num_rows -= sum(batch.num_rows for batch in group)
        self._answered.set()
        self._answered = anyio.Event()


def _again(error: StorageError) -> StorageError:
    """The same error for one more caller: an instance raised by many would gather their tracebacks."""
    return type(error)(error.message)
