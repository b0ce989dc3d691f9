"""The daemon from the lock of its home to its last word.

    start  lock -> writer, journal -> watchdog, store probe -> runs -> API -> announced -> ready
    stop   runs are asked to end -> no longer announced -> API -> runs -> writer -> lock

    loop        waits for                           unblocked by
    ----------  ----------------------------------  ------------------------------------------------------
    `serve`     the wish to stop                    a signal, `/v1/shutdown`; a failure of the store
    ... then    the runs, which were asked to end   them; `DRAIN_S`; a second wish
    signals     SIGTERM, SIGINT, SIGHUP             the system
    `_beat`     half of what systemd waits          the clock

After `HARD_S`, or `HASTE_S`, a thread ends the process whatever still holds it up: nothing that was
acknowledged is lost.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

import anyio
from anyio import CancelScope

from altlas_agent import __version__
from altlas_agent.actors.supervision.charge import Member
from altlas_agent.actors.supervision.group import Group
from altlas_agent.actors.supervisor import Supervisor
from altlas_agent.core.clock import SystemClock
from altlas_agent.core.errors import AltlasError, DeadlineExceeded, Exit, ungrouped
from altlas_agent.daemon.api.server import Api
from altlas_agent.daemon.api.site import Site
from altlas_agent.daemon.home import HomeLock, prepare_home
from altlas_agent.daemon.service import discovery, notify
from altlas_agent.daemon.service.place import SOCKET_NAME, listen, runtime_folder
from altlas_agent.daemon.service.probe import StoreProbe
from altlas_agent.daemon.watchdog import Watchdog
from storage.database import FILE_NAME
from storage.journal import Journal
from storage.writer import Writer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from altlas_agent.core.events import AnyEvent, LoopBlocked
    from altlas_agent.core.pulse import ActorState, Lag, Pulse
    from altlas_agent.daemon.api.site import Host
    from altlas_agent.settings.daemon import DaemonSettings
    from storage.database import Pause
    from storage.writer import WriterStatistics

START_S = 10.0
DRAIN_S = 3.0
HARD_S = 4.8
HASTE_S = 2.0
LOOK_S = 0.02
"""How often it is looked whether runs have ended."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What runs stand on: the home, which is locked, its one writer, and where to tell of deaths."""

    home: Path
    writer: Writer
    tell: Callable[[AnyEvent], None]


class OpenHost(Protocol):
    """Makes the runs of this process, and ends them all when its block ends.

    Entering must not wait for workers or students: those come with the runs that need them.
    """

    def __call__(self, ground: Ground, /) -> AbstractAsyncContextManager[Host]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a daemon is made of. `may_exit` lets it end the process when it hangs at the end."""

    home: Path
    settings: DaemonSettings
    environ: Mapping[str, str]
    open_host: OpenHost
    may_exit: bool = True


async def serve(plan: Plan) -> None:
    """Hold the home and serve it until somebody wishes it to end.

    Raises HomeBusyError that names the holder, and StorageError when the store cannot be opened or fails.
    """
    prepare_home(plan.home)
    with HomeLock(plan.home), ungrouped():
        daemon = _Daemon(plan)
        async with Writer(plan.home / FILE_NAME, on_pause=daemon.tell_of_pause) as writer:
            await daemon.run(writer)


class _Health:
    """How the process is, from those who watch it."""

    def __init__(self, watchdog: Watchdog, probe: StoreProbe, supervisor: Supervisor) -> None:
        self._watchdog, self._probe, self._supervisor = watchdog, probe, supervisor

    @property
    def is_live(self) -> bool:
        return self._watchdog.is_live

    @property
    def lag(self) -> Lag:
        return self._watchdog.lag

    @property
    def store_trouble(self) -> str:
        return self._probe.trouble

    @property
    def degraded(self) -> tuple[str, ...]:
        return self._supervisor.degraded

    def store(self) -> WriterStatistics:
        return self._probe.statistics()

    def actors(self) -> tuple[ActorState, ...]:
        return self._supervisor.states()


class _Daemon:
    """The parts of one daemon, and the wish that it ends."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._folder = runtime_folder(plan.home, plan.environ)
        self._notifier = notify.Notifier(plan.environ)
        self._watchdog = Watchdog(self._report)
        self._supervisor = Supervisor(self._tell, clock=SystemClock(), seed=os.getpid())
        self._wish, self._ending = anyio.Event(), anyio.Event()
        self._draining = CancelScope()
        self._journal: Journal | None = None
        self._host: Host | None = None
        self._last_resorts: list[threading.Timer] = []

    async def run(self, writer: Writer) -> None:
        """From the open store to the last word."""
        self._journal = Journal(writer, SystemClock())
        probe = StoreProbe(writer)
        ground = Ground(home=self._plan.home, writer=writer, tell=self._tell)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._hear_signals, name="signals")
                tasks.start_soon(self._watchdog.run, name="watchdog")
                tasks.start_soon(probe.run, name="store probe")
                async with self._plan.open_host(ground) as self._host, self._supervisor.keep():
                    async with self._open(probe, writer):
                        tasks.start_soon(self._beat, probe, name="systemd")
                        await self._wish.wait()
                        await self._drain(self._host)
                    self._ending.set()
                tasks.cancel_scope.cancel()
        finally:
            for timer in self._last_resorts:
                timer.cancel()

    def stop(self, in_haste: bool) -> None:
        """Wish for the end; in haste, or wished again: without waiting for the runs."""
        if in_haste or self._wish.is_set():
            self._draining.cancel()
            self._end_within(HASTE_S)
        if not self._wish.is_set():
            logger.info("stopping; everything so far is kept")
            self._wish.set()
            self._notifier.say(notify.STOPPING)
            self._end_within(HARD_S)

    def _end_within(self, seconds: float) -> None:
        """End the process then, if it is still there."""
        if self._plan.may_exit:
            timer = threading.Timer(seconds, _end_at_once)
            timer.daemon = True
            timer.start()
            self._last_resorts.append(timer)

    def tell_of_pause(self, pause: Pause | None) -> None:
        """The store waits for something, or goes on: its runs want to know."""
        if self._host is not None:
            self._host.tell_of_pause(pause)

    @asynccontextmanager
    async def _open(self, probe: StoreProbe, writer: Writer) -> AsyncGenerator[None]:
        """Serve the API, and be found, until the end of the block."""
        assert self._host is not None, "there are runs to serve"
        listen(self._folder).close()  # what makes this impossible is better said now than by an actor
        announced = self._introduction()
        site = Site(
            host=self._host,
            health=_Health(self._watchdog, probe, self._supervisor),
            marks=writer,
            announced=announced,
            database=self._plan.home / FILE_NAME,
            stop=self.stop,
            is_stopping=self._wish.is_set,
            ending=self._ending,
        )
        listens = anyio.Event()
        make = partial(self._make_api, site, listens)
        await self._supervisor.start(Group("api", (Member("api", make),)))
        with anyio.move_on_after(START_S):
            await listens.wait()
        if not listens.is_set():
            raise DeadlineExceeded("the API", "the request to listen", START_S)
        path = discovery.announce(self._plan.home, announced)
        self._notifier.say(notify.READY)
        logger.info("process %d serves %s at %s", announced.pid, self._plan.home, announced.socket)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
            (self._folder / SOCKET_NAME).unlink(missing_ok=True)

    def _make_api(self, site: Site, listens: anyio.Event, _pulse: Pulse) -> Api:
        return Api(site, self._folder, listens, max_connections=self._plan.settings.max_connections)

    def _introduction(self) -> discovery.Announced:
        pid, now_ns = os.getpid(), time.time_ns()
        return discovery.Announced(
            pid=pid,
            born=discovery.born(pid),
            started_ns=now_ns,
            socket=str(self._folder / SOCKET_NAME),
            database=str(self._plan.home / FILE_NAME),
            version=__version__,
            epoch=f"{now_ns:x}",
        )

    async def _drain(self, host: Host) -> None:
        """Ask the runs to end, and give them some time; those that remain are ended as the host ends."""
        with self._draining, anyio.move_on_after(DRAIN_S):
            for run in host.live():
                run.stop()
            while host.live():  # noqa: ASYNC110 - many kinds of hosts, and none has an event for it
                await anyio.sleep(LOOK_S)
        if left := host.live():
            logger.warning("%d runs did not end by themselves; they can be resumed", len(left))

    async def _hear_signals(self) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async for _ in signals:
                self.stop(in_haste=False)

    async def _beat(self, probe: StoreProbe) -> None:
        """Tell systemd that we live, as long as loop and store move."""
        if not self._notifier.watchdog_s:
            return
        while True:
            if self._watchdog.is_live and probe.has_moved:
                self._notifier.say(notify.WATCHDOG)
            await anyio.sleep(self._notifier.watchdog_s / 2)

    def _report(self, event: LoopBlocked) -> None:
        """From the watchdog's thread while the loop stands still, and from the loop when that is over."""
        if event.is_over:
            self._tell(event)
        else:
            self._keep(event)

    def _tell(self, event: AnyEvent) -> None:
        """Keep it in the journal, and in the history of every run that it happened to."""
        self._keep(event)
        for run in self._host.live() if self._host is not None else ():
            if run.bus.is_stored:
                with suppress(anyio.ClosedResourceError, anyio.WouldBlock, AltlasError):
                    run.bus.publish_nowait(event)

    def _keep(self, event: AnyEvent) -> None:
        try:
            if self._journal is not None:
                self._journal.add(event)
        except AltlasError as error:
            logger.error("%s is not in the journal: %s", type(event).__name__, error.message)


def _end_at_once() -> None:
    """End this process: something in it will not, and whoever asked it to end has waited long enough."""
    logger.error("not everything ended in time; ending anyway, and losing nothing that was acknowledged")
    os._exit(Exit.DONE)
