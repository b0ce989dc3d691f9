"""A supervised child process that answers requests: the parent's face, and `serve`, the child's loop.

    parent                                                   child (`serve`)
    ask --> outbox --> _send ----- stdin:  [id, type, payload] ----> one handler after another
    ask <-- pending <- _receive -- stdout: [id, "ok", payload] <--------- its answer, or
                                           [id, "error", [class, message]] <---- what it raised
    LastWords <------- _listen --- stderr

    loop       waits for                    unblocked by
    ---------  ---------------------------  --------------------------------------------------------
    ask        its answer                   _receive; _reap when the child dies; its deadline
    _send      a request; room in the pipe  ask; the child, or its death
    _receive   a frame                      the child, or its death
    _listen    text on stderr               the child, or its death
    _reap      the end of the child         the kernel; `close` and `kill` see to it
    close      the end of the child         the child, which sees its stdin end; after `grace_s`, SIGKILL
    serve      a request                    the parent; the end of its stdin, which is the end of it

A frame is a length of 4 bytes, big-endian, and msgpack of plain values; nothing is ever unpickled.
The child opens its side with `OPENING`: what a library prints before that belongs to the log.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import anyio
import msgspec
from anyio import BrokenResourceError, CancelScope, ClosedResourceError, DelimiterNotFound, IncompleteRead
from anyio.streams.buffered import BufferedByteReceiveStream

from altlas_agent.core.errors import ActorDied, AltlasError, DeadlineExceeded, ProcessError, boundary, revived
from altlas_agent.core.records import Record
from altlas_agent.core.watch import LastWords, die_with_parent, exit_text, kill_tree, open_child

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from pathlib import Path
    from types import FrameType
    from typing import Self

    from anyio.abc import Process

T = TypeVar("T")

MAX_FRAME_BYTES = 64 * 1024 * 1024
HEADER_BYTES = 4
CHUNK_BYTES = 64 * 1024
OPENING = b"\x00altlas frames\n"
MAX_PRINTED_BYTES = 1024 * 1024
GRACE_S = 2.0
DRAIN_S = 0.5

_decoder = msgspec.msgpack.Decoder(tuple[int, str, msgspec.Raw])


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
        self, name: str, process: Process, last_words: LastWords, *, grace_s: float, max_frame_bytes: int
    ) -> None:
        self.name = name
        self._process = process
        self._last_words = last_words
        self._grace_s = grace_s
        self._max_frame_bytes = max_frame_bytes
        self._asked = self._answered = self._late = 0
        self._pending: dict[int, _Pending] = {}
        self._outbox: deque[tuple[int, bytes]] = deque()
        self._posted = anyio.Event()
        self._heard_all = (anyio.Event(), anyio.Event())  # stdout, stderr
        self._end: str | None = None
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
            process = await open_child(argv, name=name, env=env)
            child = cls(name, process, last_words, grace_s=grace_s, max_frame_bytes=max_frame_bytes)
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
        frame = _frame((self._asked + 1, kind, request))
        if len(frame) > self._max_frame_bytes:
            raise ProcessError(_too_big(f"{kind} for {self.name}", len(frame), self._max_frame_bytes))
        self._asked += 1
        number, pending = self._asked, _Pending()
        self._pending[number] = pending
        self._outbox.append((number, frame))
        self._posted.set()
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

    def kill(self) -> None:
        """SIGKILL the child and everything that it started."""
        if self._end is None:
            kill_tree(self.pid)

    async def close(self) -> None:
        """Let the child finish what it was asked and end; after `grace_s` kill it and its tree."""
        with CancelScope(shield=True):
            if self._process.stdin is not None:
                await self._process.stdin.aclose()
            with anyio.move_on_after(self._grace_s):
                await self._reap()
            self.kill()
            await self._reap()
            await self._process.aclose()

    def statistics(self) -> ChildStatistics:
        """How the conversation went so far."""
        return ChildStatistics(
            asked=self._asked, answered=self._answered, late=self._late, outstanding=len(self._pending)
        )

    async def _send(self) -> None:
        assert self._process.stdin is not None
        try:
            while True:
                while self._outbox:
                    number, frame = self._outbox.popleft()
                    if number in self._pending:  # nobody waits for the answer any more: do not ask
                        await self._process.stdin.send(frame)
                self._posted = anyio.Event()
                await self._posted.wait()
        except (BrokenResourceError, ClosedResourceError, OSError):
            return  # it no longer listens: _reap says why

    async def _receive(self) -> None:
        assert self._process.stdout is not None
        stream = BufferedByteReceiveStream(self._process.stdout)
        try:
            self._last_words.feed(await stream.receive_until(OPENING, MAX_PRINTED_BYTES))
            while True:
                size = int.from_bytes(await stream.receive_exactly(HEADER_BYTES), "big")
                if size > self._max_frame_bytes:
                    raise ProcessError(_too_big("it", size, self._max_frame_bytes))
                self._accept(await _receive_body(stream, size))
        except IncompleteRead:
            self._heard_all[0].set()
            with anyio.move_on_after(DRAIN_S):
                await self._process.wait()
            if self._process.returncode is None:
                self._condemn("it closed its side of the conversation")
        except (DelimiterNotFound, msgspec.MsgspecError, ProcessError) as error:
            self._condemn(f"it sent an unreadable frame: {error}")
        except (BrokenResourceError, ClosedResourceError, OSError):
            return  # closed by us
        finally:
            self._heard_all[0].set()

    def _accept(self, body: bytes) -> None:
        number, verdict, payload = _decoder.decode(body)
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

    def _obituary(self, code: int) -> str:
        how = exit_text(code) if self._fault is None else self._fault
        quoted = self._last_words.quoted()
        return f"{how}; its last words:\n{quoted}" if quoted else how


def serve(
    handlers: Mapping[type[Record], Callable[..., Record | None]], *, max_frame_bytes: int = MAX_FRAME_BYTES
) -> None:
    """The child's loop: answer requests one at a time, in order, until the parent closes stdin.

    `handlers` maps a request type to the function that answers it. From the call on, what anybody
    prints goes to stderr. An AltlasError of a handler is raised by the `ask` of the parent; any other
    exception is a bug: the parent is told its last line, the traceback goes to stderr and the process
    ends with exit code 1.
    """
    source, sink = _take_streams()
    die_with_parent()
    signal.signal(signal.SIGINT, _ignore)
    by_name = {kind.__name__: (kind, function) for kind, function in handlers.items()}
    assert len(by_name) == len(handlers), "two request types of one name"
    while (body := _read_frame(source, max_frame_bytes)) is not None:
        number, name, payload = _decoder.decode(body)
        bug = False
        try:
            reply = _frame((number, "ok", _answer(by_name, name, payload)))
            if len(reply) > max_frame_bytes:
                raise ProcessError(_too_big(f"the answer to {name}", len(reply), max_frame_bytes))
        except AltlasError as error:
            reply = _frame((number, "error", (type(error).__name__, error.message)))
        except Exception as error:  # noqa: BLE001 - a bug: told to the parent, then this process ends
            traceback.print_exc()
            reply = _frame((number, "error", ("", traceback.format_exception_only(error)[-1].strip())))
            bug = True
        sink.write(reply)
        sink.flush()
        if bug:
            raise SystemExit(1)


def _answer(
    handlers: Mapping[str, tuple[type[Record], Callable[..., Record | None]]], name: str, payload: msgspec.Raw
) -> Record | None:
    if name not in handlers:
        raise ProcessError(f"{name} is no request for this process; it answers {', '.join(sorted(handlers))}")
    kind, function = handlers[name]
    try:
        request = msgspec.msgpack.decode(payload, type=kind)
    except msgspec.MsgspecError as error:
        raise ProcessError(f"unreadable {name}: {error}") from error
    return function(request)


def _frame(message: tuple[int, str, Record | tuple[str, str] | None]) -> bytes:
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


async def _receive_body(stream: BufferedByteReceiveStream, size: int) -> bytes:
    """In pieces: trio would make room for all of it at every read of a pipe."""
    body = bytearray()
    while len(body) < size:
        body += await stream.receive_exactly(min(size - len(body), CHUNK_BYTES))
    return bytes(body)


def _too_big(what: str, size: int, limit: int) -> str:
    return f"{what} takes {size} bytes; {limit} are allowed"


def _read_frame(source: BinaryIO, max_frame_bytes: int) -> bytes | None:
    """The next frame; None at the end of the conversation, also in the middle of a frame."""
    header = source.read(HEADER_BYTES)
    size = int.from_bytes(header, "big")
    if len(header) < HEADER_BYTES:
        return None
    if size > max_frame_bytes:
        raise SystemExit(_too_big("a request", size, max_frame_bytes))
    body = source.read(size)
    return body if len(body) == size else None


def _take_streams() -> tuple[BinaryIO, BinaryIO]:
    """Private copies of stdin and stdout; from now on fd 0 is empty and fd 1 is stderr."""
    source = os.fdopen(os.dup(0), "rb")
    sink = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.stdout.flush()  # what was printed before goes to stderr as well
    sys.stdout = sys.stderr
    sink.write(OPENING)
    sink.flush()
    return source, sink


def _ignore(_signal: int, _frame: FrameType | None) -> None:
    """Ctrl+C belongs to the parent. SIG_IGN would be inherited by every program that we start."""
