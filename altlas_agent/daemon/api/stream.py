"""Server-sent events: what is told on the bus of a run, in batches, to whoever listens on the socket.

    loop        waits for                           unblocked by
    ----------  ----------------------------------  ----------------------------------------------------
    `_listen`   an event, then more of a batch      a publisher; `KEEPALIVE_S`, `BATCH_S`; the end of the run
    ... then    the commit of the batch             the store, or its end
    ... then    room in the socket                  the client; guard.py, which cuts one that reads nothing
    `_watch`    the end of the connection           the client; guard.py
    `_end_with` the end of the API                  whoever stops the daemon

Each client has a bounded queue on the bus that holds up nobody. One that falls behind loses the queue and reads
what is durable from the store instead: a `gap` tells that ephemeral events are missing there.
"""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import anyio
import msgspec
from starlette.requests import Request

from altlas_agent.core.bus.policies import Policy
from altlas_agent.core.errors import CutOffError, NotFoundError, StorageError
from altlas_agent.core.records import Record
from altlas_agent.daemon.api.answers import Refused
from altlas_agent.daemon.api.reads import after_of, run_of
from altlas_agent.daemon.api.wire import Cursor, Wire
from altlas_agent.daemon.live import State

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from altlas_agent.core.bus.subscription import Subscription
    from altlas_agent.core.events import Envelope
    from altlas_agent.daemon.api.reads import Pages
    from altlas_agent.daemon.api.site import Site
    from altlas_agent.daemon.live import LiveRun

BATCH = 64
BATCH_S = 0.1
"""A batch that is not full waits so long for more, but for the first one after a quiet time."""

KEEPALIVE_S = 15.0

_ALIVE = b": alive\n\n"
_HEADERS = ((b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"))


class Gap(Record):
    """Ephemeral events were lost after event `after`; durable ones follow without a gap."""

    after: int


class End(Record):
    """Nothing more comes: the run is over, or is not of this process, and all that is stored was told."""

    run: int
    state: str


class Streams:
    """The route of the stream, as an application of its own, and what all its clients share."""

    def __init__(self, site: Site, pages: Pages) -> None:
        self._site = site
        self._pages = pages
        self._wire = Wire()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """`/v1/stream?run=R&after=C`: begins after the cursor C, or the header Last-Event-ID, or now.

        Of a run that is not of this process it tells all that is stored.
        """
        request = Request(scope, receive)
        if request.method != "GET":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "invalid", "a stream can only be read: GET")
        words = request.query_params
        run_id = run_of(words["run"]) if "run" in words else self._only_run()
        cursor = words.get("after") or request.headers.get("last-event-id")
        run = await self._found(run_id)
        after = after_of(cursor) if cursor else run.bus.committed_seq if run else 0
        if run is not None and after > run.bus.last_seq:
            what = f"run r{run_id} has no event {after} yet; begin again without a cursor"
            raise Refused(HTTPStatus.BAD_REQUEST, "invalid", what)
        counts = self._site.counts
        counts.streams_ever += 1
        counts.streams += 1
        try:
            stream = Stream(
                self._site, self._pages, self._wire, Asked(run_id, run, words.get("content") == "true")
            )
            await stream.tell(after, receive, send)
        finally:
            counts.streams -= 1

    def _only_run(self) -> int:
        runs = self._site.host.live()
        if len(runs) != 1:
            names = ", ".join(f"r{run.run_id}" for run in runs) or "none is live"
            raise Refused(HTTPStatus.BAD_REQUEST, "invalid", f"say which run: /v1/stream?run=... ({names})")
        return runs[0].run_id

    async def _found(self, run_id: int) -> LiveRun | None:
        try:
            return self._site.host.find(run_id)
        except NotFoundError:
            await self._pages.run(run_id)
            return None


class Asked(NamedTuple):
    """What a client wants to hear."""

    run_id: int
    run: LiveRun | None
    content: bool


class Stream:
    """One client's stream of one run."""

    def __init__(self, site: Site, pages: Pages, wire: Wire, asked: Asked) -> None:
        self._site, self._pages, self._wire, self._asked = site, pages, wire, asked
        self._name = f"stream-{site.counts.streams_ever}"
        self._sent = 0
        """The last committed event that the client was sent, or asked to begin after."""
        self._flushed_at = 0.0

    async def tell(self, after: int, receive: Receive, send: Send) -> None:
        """The whole response, from event `after` on."""
        self._sent = after
        await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_watch, receive, tasks.cancel_scope)
            tasks.start_soon(_end_with, self._site.ending, tasks.cancel_scope)
            if self._asked.run is not None:
                await self._tell_live(self._asked.run, send)
            await self._tell_stored(send)
            tasks.cancel_scope.cancel()
        await _send(send, b"", more=False)

    async def _tell_live(self, run: LiveRun, send: Send) -> None:
        """Until the run is over. What its store did not keep is not told."""
        is_over = False
        while not is_over:
            try:
                is_over = await self._listen(run, send)
            except anyio.ClosedResourceError:
                is_over = True
            except StorageError:  # it has no store yet, or has lost it
                is_over = run.state is not State.STARTING
                await anyio.sleep(BATCH_S)

    async def _listen(self, run: LiveRun, send: Send) -> bool:
        """Tell until the run is over: True; or until the client has fallen behind: then begin again."""
        with run.bus.subscribe(self._name, policy=Policy.DISCONNECT, from_seq=self._sent + 1) as listening:
            try:
                while batch := await self._next(listening, send):
                    await self._committed(run, batch[-1].seq, send)
                    await self._send_batch(send, batch)
                return True
            except CutOffError:
                self._site.counts.gaps += 1
                await _send(send, _frame("gap", Gap(after=self._sent)))
                return False

    async def _next(self, listening: Subscription, send: Send) -> list[Envelope]:
        """The next batch, as soon as the pace of batches allows or it is full; empty: the run is over."""
        batch: list[Envelope] | None = None
        while batch is None:
            with anyio.move_on_after(KEEPALIVE_S):
                batch = await listening.receive_batch(BATCH)
            if batch is None:
                await _send(send, _ALIVE)
        while 0 < len(batch) < BATCH and (left_s := self._flushed_at + BATCH_S - time.monotonic()) > 0:
            with anyio.move_on_after(left_s):
                more = await listening.receive_batch(BATCH - len(batch))
                batch += more
                if not more:
                    break
        return batch

    async def _committed(self, run: LiveRun, seq: int, send: Send) -> None:
        """Wait until a client may count on event `seq`."""
        while run.bus.committed_seq < seq:
            with anyio.move_on_after(KEEPALIVE_S) as waited:
                await run.bus.wait_committed(seq)
            if waited.cancelled_caught:
                await _send(send, _ALIVE)

    async def _send_batch(self, send: Send, batch: list[Envelope]) -> None:
        cursor = str(Cursor(self._site.announced.epoch, batch[-1].seq)).encode()
        body = self._wire.array(batch, content=self._asked.content)
        await _send(send, b"id: %b\ndata: %b\n\n" % (cursor, body))
        self._sent = batch[-1].seq
        self._flushed_at = time.monotonic()

    async def _tell_stored(self, send: Send) -> None:
        run_id, run, _ = self._asked
        while batch := await self._pages.events(run_id, after=self._sent, limit=BATCH):
            await self._send_batch(send, batch)
        state = State.ENDED if run is None else run.state
        await _send(send, _frame("end", End(run=run_id, state=state)))


async def _watch(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


async def _end_with(ending: anyio.Event, scope: anyio.CancelScope) -> None:
    await ending.wait()
    scope.cancel()


async def _send(send: Send, body: bytes, *, more: bool = True) -> None:
    await send({"type": "http.response.body", "body": body, "more_body": more})


def _frame(kind: str, record: Record) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode(record))
