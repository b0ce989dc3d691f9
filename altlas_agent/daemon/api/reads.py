"""The routes that only look: everything lies ready, or is one page of the store, and nothing is computed."""

from __future__ import annotations

import re
from contextlib import closing
from http import HTTPStatus
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from altlas_agent.core.bus.statistics import BusStatistics  # noqa: TC001 - msgspec reads the annotations
from altlas_agent.core.errors import NotFoundError
from altlas_agent.core.records import Record
from altlas_agent.daemon.api.answers import Refused, answer, ready_made
from altlas_agent.daemon.api.site import Info, Liveness, Readiness, RunLines, line_of
from altlas_agent.daemon.api.wire import Cursor, cursor_of, encoded
from storage.database import open_reader
from storage.reading import queries
from storage.reading.announced import events_page

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request
    from starlette.responses import Response

    from altlas_agent.core.events import Envelope
    from altlas_agent.daemon.api.site import Site
    from storage.reading.views import RunView

MAX_EVENTS = 500
MAX_PAGE_BYTES = 8 * 1024 * 1024
"""A page of events ends early when it is as big as this."""

READERS = 2
"""So many pages are read from the store at once; who asks for more waits."""


class BusOfRun(Record):
    """The channels of one live run."""

    run: int
    bus: BusStatistics


class Pages:
    """What the routes read of the store: a row, or one page, on a thread and on a connection of its own."""

    def __init__(self, database: Path) -> None:
        self._database = database
        self._readers = anyio.CapacityLimiter(READERS)

    async def run(self, run_id: int) -> RunView:
        """The row of a run. Raises NotFoundError or StorageError."""
        return await to_thread.run_sync(self._find, run_id, limiter=self._readers)

    async def events(self, run_id: int, *, after: int, limit: int) -> list[Envelope]:
        """Stored events behind `after`, in order. Raises StorageError."""
        return await to_thread.run_sync(self._read, run_id, after, limit, limiter=self._readers)

    def _find(self, run_id: int) -> RunView:
        with closing(open_reader(self._database)) as connection:
            return queries.find_run(connection, f"r{run_id}")

    def _read(self, run_id: int, after: int, limit: int) -> list[Envelope]:
        with closing(open_reader(self._database)) as connection:
            return events_page(connection, run_id, after + 1, limit=limit)


class Reads:
    """The routes that change nothing."""

    def __init__(self, site: Site, pages: Pages) -> None:
        self._site = site
        self._pages = pages

    async def live(self, _request: Request) -> Response:
        """`/healthz`: does the event loop turn over?"""
        health = self._site.health
        status = HTTPStatus.OK if health.is_live else HTTPStatus.SERVICE_UNAVAILABLE
        return answer(Liveness(live=health.is_live, lag=health.lag), status)

    async def ready(self, _request: Request) -> Response:
        """`/readyz`: can it store, and are there workers where runs need them?"""
        reasons = self._troubles()
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        workers = self._site.host.workers
        return answer(Readiness(ready=not reasons, reasons=reasons, workers=workers), status)

    async def info(self, _request: Request) -> Response:
        """`/v1/info`: who answers here."""
        return answer(
            Info(
                daemon=self._site.announced,
                stopping=self._site.is_stopping(),
                degraded=self._site.health.degraded,
                runs=len(self._site.host.live()),
            )
        )

    async def runs(self, _request: Request) -> Response:
        """`/v1/runs`: the live ones. Those that have ended are in the store, which everybody may read."""
        rows = tuple(line_of(run) for run in self._site.host.live())
        return answer(RunLines(rows=rows, truncated=False, total=len(rows)))

    async def run(self, request: Request) -> Response:
        """`/v1/runs/{run}`: one run, as it lives and as it is stored."""
        run_id = run_of(request.path_params["run"])
        try:
            run = self._site.host.find(run_id)
        except NotFoundError:
            return answer({"live": None, "bus": None, "stored": await self._pages.run(run_id)})
        stored = await self._pages.run(run_id)
        return answer({"live": line_of(run), "bus": run.bus.statistics(), "stored": stored})

    async def actors(self, _request: Request) -> Response:
        """`/v1/actors`: who lives, who died how often, and how full their channels are."""
        health, host = self._site.health, self._site.host
        return answer(
            {
                "rows": [*health.actors(), *host.actors()],
                "degraded": health.degraded,
                "buses": [BusOfRun(run=run.run_id, bus=run.bus.statistics()) for run in host.live()],
                "workers": host.workers,
                "store": health.store(),
                "lag": health.lag,
            }
        )

    async def events(self, request: Request) -> Response:
        """`/v1/events?run=R&after=C&limit=N`: a page of stored events; run 0 is the daemon's own journal."""
        words = request.query_params
        if "run" not in words:
            raise Refused(HTTPStatus.BAD_REQUEST, "invalid", "say of which run: /v1/events?run=1")
        run_id, after = run_of(words["run"]), after_of(words.get("after", "0"))
        limit = _limit_of(words.get("limit", str(MAX_EVENTS)))
        found = await self._pages.events(run_id, after=after, limit=limit)
        rows, last = _fitting(found, content=words.get("content") == "true")
        is_cut = len(rows) < len(found) or len(found) == limit
        cursor = Cursor(self._site.announced.epoch, last or after)
        head = b'{"cursor":"%b","truncated":%b,"rows":[' % (
            str(cursor).encode(),
            b"true" if is_cut else b"false",
        )
        return ready_made(head + b",".join(rows) + b"]}")

    def _troubles(self) -> tuple[str, ...]:
        workers = self._site.host.workers
        troubles = [self._site.health.store_trouble]
        if workers.wanted and not workers.up:
            troubles.append(f"none of {workers.wanted} sandbox workers is up")
        if self._site.is_stopping():
            troubles.append("the daemon is stopping")
        return tuple(trouble for trouble in troubles if trouble)


def run_of(word: str) -> int:
    """The number of a run, as `3` or `r3`. Raises Refused."""
    if not (found := re.fullmatch(r"r?([0-9]{1,18})", word)):
        what = f"{word[:40]!r} is no number of a run: they are like r3, and /v1/runs lists the live ones"
        raise Refused(HTTPStatus.BAD_REQUEST, "invalid", what)
    return int(found[1])


def after_of(word: str) -> int:
    """The number in a cursor. Raises Refused."""
    try:
        return cursor_of(word).seq
    except ValueError as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "invalid", str(error)) from error


def _limit_of(word: str) -> int:
    if not re.fullmatch(r"[0-9]{1,6}", word) or int(word) < 1:
        raise Refused(HTTPStatus.BAD_REQUEST, "invalid", f"limit is a number from 1 to {MAX_EVENTS}")
    return min(int(word), MAX_EVENTS)


def _fitting(envelopes: list[Envelope], *, content: bool) -> tuple[list[bytes], int]:
    """As many as make a page, and the number of the last one."""
    rows: list[bytes] = []
    size = last = 0
    for envelope in envelopes:
        row = encoded(envelope, content=content)
        size += len(row)
        if rows and size > MAX_PAGE_BYTES:
            break
        rows.append(row)
        last = envelope.seq
    return rows, last
