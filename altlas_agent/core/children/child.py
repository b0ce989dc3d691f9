"""A supervised child process that answers requests: the parent's face.

parent                                                   child (serve.py)
ask --> outbox --> _send ----- stdin:  [id, type, payload] ----> one handler after another
ask <-- pending <- _receive -- stdout: [id, "ok", payload] <--------- its answer, or
                                       [id, "error", [class, message]] <---- what it raised
LastWords <------- _listen --- stderr

loop       waits for                    unblocked by
---------  ---------------------------  --------------------------------------------------------
ask        its answer                   _receive; _reap when the child dies; its deadline
_send      a request; room in the pipe  ask; the child, or its death
_receive   bytes                        the child, or its death
_listen    text on stderr               the child, or its death
_reap      the end of the child         the kernel; `close` and `kill` see to it
ended      the end of the child         _reap
close      the end of the child         the child, which sees its stdin end; after `grace_s`, SIGKILL
"""

from __future__ import annotations

from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio
import msgspec
from anyio import BrokenResourceError, CancelScope, ClosedResourceError

from altlas_agent.core.children.frames import DECODER, MAX_FRAME_BYTES, Frames, Printed, frame, too_big
from altlas_agent.core.children.pipes import Pipes
from altlas_agent.core.children.watch import LastWords, exit_text, kill_tree, open_child
from altlas_agent.core.errors import ActorDied, AltlasError, DeadlineExceeded, ProcessError, boundary, revived
from altlas_agent.core.records import Record

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from anyio.abc import Process

T = TypeVar("T")

GRACE_S = 2.0
DRAIN_S = 0.5
_BEGUN = 0
"""Instead of the number of a request of which a part is in the pipe: the rest has to follow."""


class ChildStatistics(Record):
    """A child's conversation in numbers. `late` answers came after their deadline and were dropped."""

    asked: int
    answered: int
    late: int
    outstanding: int


class _Pending:
    """One request under way."""

    def __init__(self) -> None:
        self.done = anyio.Event()
        self.payload: msgspec.Raw | None = None
        self.error: AltlasError | None = None


class ChildProcess:
    """A child process that runs `serve`. Made by `start`; belongs to one event loop."""

    def __init__(
        self,
        name: str,
        process: Process,
        pipes: Pipes,
        last_words: LastWords,
        *,
        grace_s: float,
        max_frame_bytes: int,
    ) -> None:
        self.name = name
        self._process = process
        self._pipes = pipes
        self._last_words = last_words
        self._grace_s = grace_s
        self._max_frame_bytes = max_frame_bytes
        self._asked = self._answered = self._late = 0
        self._pending: dict[int, _Pending] = {}
        self._outbox: deque[tuple[int, bytes]] = deque()
        self._posted = anyio.Event()
        self._heard_all = (anyio.Event(), anyio.Event())  # stdout, stderr
        self._end: str | None = None
        self._has_ended = anyio.Event()
        self._fault: str | None = None

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        *,
        name: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        log_path: Path | None = None,
        grace_s: float = GRACE_S,
        max_frame_bytes: int = MAX_FRAME_BYTES,
    ) -> AsyncGenerator[Self]:
        """Start `argv` in its own session; at the end of the block `close` it. `env` replaces ours.

        What the child writes on stderr is appended to `log_path`. Raises ProcessError when it cannot
        be started. What the block raises comes out as it is, in no exception group.
        """
        with boundary(ProcessError, f"opening the log of {name}"):
            last_words = LastWords(log_path)
        failure: Exception | None = None
        try:
            pipes = Pipes()
            try:
                process = await open_child(argv, pipes, name=name, env=env)
            except BaseException:  # cancelled too: the ends belong to nobody else
                pipes.close()
                raise
            finally:
                pipes.child_started()
            child = cls(name, process, pipes, last_words, grace_s=grace_s, max_frame_bytes=max_frame_bytes)
            async with anyio.create_task_group() as tasks:
                for loop in (child._send, child._receive, child._listen, child._reap):
                    tasks.start_soon(loop)
                try:
                    yield child
                except Exception as error:  # noqa: BLE001 - raised again below, outside the group
                    failure = error
                finally:
                    await child.close()
                    tasks.cancel_scope.cancel()
        finally:
            last_words.close()
        if failure is not None:
            raise failure

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """False once its death is known: from then on every `ask` raises ActorDied."""
        return self._end is None

    async def ask(self, request: Record, reply_type: type[T], *, timeout_s: float) -> T:
        """The child's answer to `request`. Any number of asks may be under way; they keep their order.

        Raises ActorDied at once when the child dies or is dead, DeadlineExceeded after `timeout_s`
        (the child goes on and its late answer is dropped), what the handler raised, by class and
        message, and ProcessError for a bug in the handler and for an answer that is no `reply_type`.
        """
        if self._end is not None:
            raise ActorDied(self.name, self._end)
        kind = type(request).__name__
        data = frame((self._asked + 1, kind, request))
        if len(data) > self._max_frame_bytes:
            raise ProcessError(too_big(f"{kind} for {self.name}", len(data), self._max_frame_bytes))
        self._asked += 1
        number, pending = self._asked, _Pending()
        self._pending[number] = pending
        self._post(number, data)
        try:
            with anyio.move_on_after(timeout_s):
                await pending.done.wait()
        finally:
            self._pending.pop(number, None)
        if pending.error is not None:
            raise pending.error
        if pending.payload is None:
            raise DeadlineExceeded(self.name, kind, timeout_s)
        return self._decoded(pending.payload, reply_type)

    async def ended(self) -> str:
        """Wait for its death to be known; tells how it came."""
        await self._has_ended.wait()
        return self._end or ""

    def kill(self) -> None:
        """SIGKILL the child and everything that it started."""
        if self._end is None:
            kill_tree(self.pid)

    async def close(self) -> None:
        """Let the child finish what it was asked and end; after `grace_s` kill it and its tree."""
        with CancelScope(shield=True):
            self._pipes.hang_up()
            with anyio.move_on_after(self._grace_s):
                await self._reap()
            self.kill()
            await self._reap()
            self._pipes.close()
            await self._process.aclose()

    def statistics(self) -> ChildStatistics:
        """How the conversation went so far."""
        return ChildStatistics(
            asked=self._asked, answered=self._answered, late=self._late, outstanding=len(self._pending)
        )

    def _post(self, number: int, data: bytes) -> None:
        """At once where there is room in the pipe and nothing waits for it."""
        if not self._outbox:
            try:
                data = data[self._pipes.send_now(data) :]
            except (ClosedResourceError, OSError):
                return  # it no longer listens: _reap says why
        if data:
            begun = len(self._outbox) == 0
            self._outbox.append((_BEGUN if begun else number, data))
            self._posted.set()

    async def _send(self) -> None:
        try:
            while True:
                while self._outbox:
                    number, data = self._outbox[0]
                    if number == _BEGUN or number in self._pending:  # else nobody waits any more: do not ask
                        await self._pipes.send(data)
                    self._outbox.popleft()
                self._posted = anyio.Event()
                await self._posted.wait()
        except (ClosedResourceError, OSError):
            return  # it no longer listens: _reap says why

    async def _receive(self) -> None:
        try:
            await self._converse()
            self._heard_all[0].set()
            with anyio.move_on_after(DRAIN_S):
                await self._process.wait()
            if self._process.returncode is None:
                self._condemn("it closed its side of the conversation")
        except (msgspec.MsgspecError, ProcessError) as error:
            self._condemn(f"it sent an unreadable frame: {error}")
        except (ClosedResourceError, OSError):
            return  # closed by us
        finally:
            self._heard_all[0].set()

    async def _converse(self) -> None:
        """Until the child ends its side."""
        printed, frames, opened = Printed(), Frames(self._max_frame_bytes), False
        while chunk := await self._pipes.receive():
            if not opened:
                found = printed.feed(chunk)
                if found is None:
                    continue
                opened = True
                self._last_words.feed(found[0])
                chunk = found[1]
            for body in frames.feed(chunk):
                self._accept(body)

    def _accept(self, body: bytes) -> None:
        number, verdict, payload = DECODER.decode(body)
        if not 1 <= number <= self._asked or verdict not in {"ok", "error"}:
            raise ProcessError(f"{verdict!r} for request {number}, which was never asked")
        pending = self._pending.get(number)
        if pending is None:
            self._late += 1
            return
        self._answered += 1
        if verdict == "ok":
            pending.payload = payload
        else:
            kind, message = msgspec.msgpack.decode(payload, type=tuple[str, str])
            pending.error = revived(kind, message) if kind else ProcessError(f"{self.name}: {message}")
        pending.done.set()

    def _decoded(self, payload: msgspec.Raw, reply_type: type[T]) -> T:
        try:
            return msgspec.msgpack.decode(payload, type=reply_type)
        except msgspec.MsgspecError as error:
            raise ProcessError(f"{self.name} answered with no {reply_type.__name__}: {error}") from error

    async def _listen(self) -> None:
        assert self._process.stderr is not None
        try:
            async for chunk in self._process.stderr:
                self._last_words.feed(chunk)
        except (BrokenResourceError, ClosedResourceError, OSError):
            return  # closed by us
        finally:
            self._heard_all[1].set()

    def _condemn(self, fault: str) -> None:
        self._fault = fault
        self.kill()

    async def _reap(self) -> None:
        """Wait for the end of the child, then end its tree and every ask. Safe to run more than once."""
        code = await self._process.wait()
        if self._end is not None:
            return
        kill_tree(self.pid)
        with anyio.move_on_after(DRAIN_S):  # answers and last words that are still in the pipes
            for heard_all in self._heard_all:
                await heard_all.wait()
        if self._end is None:
            self._end = self._obituary(code)
        for pending in self._pending.values():
            if not pending.done.is_set():
                pending.error = ActorDied(self.name, self._end)
                pending.done.set()
        self._has_ended.set()

    def _obituary(self, code: int) -> str:
        how = exit_text(code) if self._fault is None else self._fault
        quoted = self._last_words.quoted()
        return f"{how}; its last words:\n{quoted}" if quoted else how
