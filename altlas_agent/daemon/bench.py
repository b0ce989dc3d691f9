"""The API against bare JSON lines over a unix socket: events per CPU-second, and requests per CPU-second.

    loop        waits for                  unblocked by
    ----------  -------------------------  ----------------------------------
    `_publish`  room in the queues         the readers; see core/bus
    client      the next event or answer   the server; its own timeout

Each round does the same through the whole API (a bus of a run, a store in memory, the stream, HTTP) and as bare
lines, right after each other. Both ends run in this process, the client on a thread, so that the time of the
processor is that of both.
"""

from __future__ import annotations

import asyncio
import http.client
import socket
import time
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import anyio
import msgspec
from anyio import to_thread

from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.clock import SystemClock
from altlas_agent.core.errors import NotFoundError
from altlas_agent.core.events import AttemptScored, Envelope
from altlas_agent.core.pulse import Lag
from altlas_agent.core.records import Arm, Attempt, Judged, Outcome, Score, Status
from altlas_agent.daemon.api.client import Client
from altlas_agent.daemon.api.server import Api
from altlas_agent.daemon.api.site import RunLines, Site, Workers
from altlas_agent.daemon.api.wire import encoded
from altlas_agent.daemon.live import State
from altlas_agent.daemon.service.discovery import Announced
from altlas_agent.daemon.service.place import SOCKET_NAME
from altlas_agent.evaluation.benches.measures import Bench, Measure, faster
from storage.writer import Writer, WriterStatistics

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from altlas_agent.core.bus.subscription import Subscription
    from altlas_agent.core.events import CheckpointSaved, Progress
    from storage.database import Pause

EVENTS = 20_000
REQUESTS = 1_000
CHUNK = 256
"""The publisher is at most so many events ahead of the client, twice over: nobody is to fall behind."""

STREAM_BAR = 0.25
REQUEST_BAR = 0.05


class _Memory:
    """A store that commits at once."""

    name = "memory"

    def __init__(self) -> None:
        self._events: list[Envelope] = []
        self._moved = anyio.Event()

    @property
    def committed_seq(self) -> int:
        return len(self._events)

    async def keep(self, subscription: Subscription) -> None:
        """Take everything until the bus is closed."""
        while batch := await subscription.receive_batch():
            self._events += batch
            self._moved.set()
            self._moved = anyio.Event()

    async def committed(self, seq: int) -> None:
        while self.committed_seq < seq:
            await self._moved.wait()

    async def read(self, from_seq: int, limit: int) -> list[Envelope]:
        return self._events[from_seq - 1 : from_seq - 1 + limit]


class _Run:
    """A run that is nothing but its bus."""

    run_id = 1
    name = "bench"
    state = State.RUNNING
    progress: Progress | None = None

    def __init__(self) -> None:
        self.bus = Bus(self.run_id, SystemClock())

    def stop(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    async def checkpoint(self) -> CheckpointSaved:
        raise NotFoundError("checkpoint", "bench", "there is nothing to save")

    def steer(self, changes: Mapping[str, object]) -> dict[str, object]:
        return dict(changes)


class _Host:
    """A host of one run, which begins no others."""

    workers = Workers(up=1, wanted=1)

    def __init__(self) -> None:
        self.run = _Run()

    def live(self) -> tuple[_Run, ...]:
        return (self.run,)

    def find(self, run_id: int) -> _Run:
        return self.run

    async def start(self, suite: str, settings: Mapping[str, object], *, name: str = "") -> _Run:
        return self.run

    async def restart(self, run_id: int, changes: Mapping[str, object]) -> _Run:
        return self.run

    def actors(self) -> tuple[()]:
        return ()

    def tell_of_pause(self, pause: Pause | None) -> None: ...


class _Health:
    """All is well."""

    is_live = True
    lag = Lag(last_s=0.0, worst_s=0.0, times_blocked=0)
    store_trouble = ""
    degraded = ()

    def store(self) -> WriterStatistics:
        return WriterStatistics(waiting=0, groups=0, rows=0, pause=None)

    def actors(self) -> tuple[()]:
        return ()


def bench(*, rounds: int) -> Bench:
    """Raises RuntimeError when an event is lost: that would be no measurement."""
    return anyio.run(_bench, rounds)


async def _bench(rounds: int) -> Bench:
    """One round more than is counted: the first one warms everything up."""
    with TemporaryDirectory() as folder:
        async with _served(Path(folder)) as (host, client):
            found = [
                (
                    await _stream_rate(host, client),
                    await _lines_rate(Path(folder)),
                    await _request_rate(client),
                    await _echo_rate(Path(folder)),
                )
                for _ in range(rounds + 1)
            ][1:]
    streams, lines, requests, echoes = zip(*found, strict=True)
    return Bench(
        bench="daemon",
        measures=(
            _faster("stream_rate", streams, lines, bar=STREAM_BAR),
            _faster("request_rate", requests, echoes, bar=REQUEST_BAR),
        ),
    )


def _faster(name: str, ours: tuple[float, ...], bare: tuple[float, ...], *, bar: float) -> Measure:
    ratio = median(one / other for one, other in zip(ours, bare, strict=True))
    return faster(name, median(ours), median(bare), unit="1/cpu-s", bar=bar, ratio=ratio)


@asynccontextmanager
async def _served(folder: Path) -> AsyncGenerator[tuple[_Host, Client]]:
    """The API over one run, as long as the block lasts."""
    host, listens = _Host(), anyio.Event()
    announced = Announced(
        pid=0,
        born=0,
        started_ns=0,
        socket=str(folder / SOCKET_NAME),
        database="",
        version="",
        epoch="0",
    )
    site = Site(
        host=host,
        health=_Health(),
        announced=announced,
        database=folder / "none",
        stop=lambda _: None,
        is_stopping=lambda: False,
        ending=anyio.Event(),
        marks=Writer(folder / "none"),  # never opened: nothing is marked here
    )
    memory = _Memory()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(memory.keep, host.run.bus.attach(memory))
        tasks.start_soon(Api(site, folder, listens, max_connections=8).run)
        await listens.wait()
        yield host, Client(announced)
        tasks.cancel_scope.cancel()


class _Flow:
    """Events from the bus of a run to one client; the publisher waits for room, so that nothing is lost."""

    def __init__(self, bus: Bus, client: Client) -> None:
        self._bus, self._client = bus, client
        self._began_at = bus.last_seq
        self._room = asyncio.Semaphore(2 * CHUNK)
        self._loop = asyncio.get_running_loop()
        self._is_heard = anyio.Event()

    async def publish(self) -> None:
        """All events, once the client has heard the first one."""
        await self._bus.publish(_event(0))
        await self._is_heard.wait()
        for number in range(1, EVENTS):
            await self._room.acquire()
            await self._bus.publish(_event(number))

    def listen(self) -> int:
        """On a thread: how many events came."""
        heard = 0
        for batch in self._client.stream(1, after=self._began_at):
            before, heard = heard, heard + len(batch.rows)
            if not before:
                self._loop.call_soon_threadsafe(self._is_heard.set)
            for _ in range(heard // CHUNK - before // CHUNK):
                self._loop.call_soon_threadsafe(self._more)
            if heard >= EVENTS:
                break
        return heard

    def _more(self) -> None:
        for _ in range(CHUNK):
            self._room.release()


async def _stream_rate(host: _Host, client: Client) -> float:
    """Events per second of CPU from the bus of a run to a client of the stream, which decodes them."""
    flow, heard = _Flow(host.run.bus, client), 0
    began = time.process_time()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(flow.publish)
        heard = await to_thread.run_sync(flow.listen)
    cpu_s = time.process_time() - began
    if heard != EVENTS:
        raise RuntimeError(f"{heard} of {EVENTS} events arrived")
    return EVENTS / cpu_s


async def _lines_rate(folder: Path) -> float:
    """The same JSON, a line for each event, written and read as it comes."""

    async def write(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(EVENTS):
            envelope = Envelope(run_id=1, seq=number, monotonic_ns=0, wall_ns=0, event=_event(number))
            writer.write(encoded(envelope, content=False) + b"\n")
            await writer.drain()
        writer.close()

    def listen() -> int:
        with _connected(folder / "lines") as sock, sock.makefile("rb") as file:
            return sum(1 for line in file if msgspec.json.decode(line, type=dict[str, object]))

    began = time.process_time()
    server = await asyncio.start_unix_server(write, folder / "lines")
    async with server:
        heard = await to_thread.run_sync(listen)
    cpu_s = time.process_time() - began
    if heard != EVENTS:
        raise RuntimeError(f"{heard} of {EVENTS} lines arrived")
    return EVENTS / cpu_s


async def _request_rate(client: Client) -> float:
    """Answers of `/v1/runs` per second of CPU, over one connection."""

    def ask() -> None:
        connection = _OverSocket(Path(client.announced.socket))
        for _ in range(REQUESTS):
            connection.request("GET", "/v1/runs")
            msgspec.json.decode(connection.getresponse().read(), type=RunLines)
        connection.close()

    return await _rated(ask)


async def _echo_rate(folder: Path) -> float:
    """A line for a line: the same answer without HTTP."""
    line = msgspec.json.encode({"rows": [{"id": 1, "name": "bench", "state": "running"}], "total": 1}) + b"\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.readline():
            writer.write(line)
        writer.close()

    def ask() -> None:
        with _connected(folder / "echo") as sock, sock.makefile("rwb") as file:
            for _ in range(REQUESTS):
                file.write(b"runs\n")
                file.flush()
                msgspec.json.decode(file.readline(), type=dict[str, object])

    server = await asyncio.start_unix_server(answer, folder / "echo")
    async with server:
        return await _rated(ask)


async def _rated(ask: Callable[[], None]) -> float:
    began = time.process_time()
    await to_thread.run_sync(ask)
    return REQUESTS / (time.process_time() - began)


class _OverSocket(http.client.HTTPConnection):
    """A connection that is kept, as dashboards do."""

    def __init__(self, path: Path) -> None:
        super().__init__("altlas")
        self._path = path

    def connect(self) -> None:
        self.sock = _connected(self._path)


def _connected(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(path))
    return sock


def _event(number: int) -> AttemptScored:
    attempt = Attempt(
        number=number,
        group=number // 8,
        task_id="quickstart/add",
        code="print(5 + 3)",
        tokens=(1, 20, 300),
        logps=(-0.5, -1.25, 0.0),
        policy_version=2,
        arm=Arm.POLICY,
    )
    score = Score(value=0.5, parts={"output": 0.5})
    return AttemptScored(judged=Judged(attempt=attempt, outcome=Outcome(status=Status.SUCCESS), score=score))
