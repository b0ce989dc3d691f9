"""The API as an actor: one life of the server on its socket, from binding to the last answer.

loop     waits for                    unblocked by
-------  ---------------------------  ------------------------------------------------------
`run`    the end of the server        its cancellation; then open answers, `GRACE_S` at most
"""

from __future__ import annotations

import logging
import resource
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, cast

import anyio
from anyio import CancelScope
from uvicorn.config import Config
from uvicorn.server import Server

from altlas_agent.daemon.api.app import make_app
from altlas_agent.daemon.api.guard import GuardedConnection, Terms, own_uid
from altlas_agent.daemon.service.place import BACKLOG, listen

if TYPE_CHECKING:
    from asyncio import Protocol
    from collections.abc import Generator
    from pathlib import Path

    from altlas_agent.daemon.api.site import Site

GRACE_S = 1
KEEP_ALIVE_S = 30
MAX_HEAD_BYTES = 16 * 1024


logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
"""It warns of every client that speaks no HTTP: a flood of them must not become a flood of lines."""


class _Quiet(Server):
    """The library's server, which leaves the signals of the process to us."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        yield


class Api:
    """Serves a site on a socket in `folder`, and sets `listens` when clients can connect.

    asyncio only: so is the server.
    """

    name = "api"

    def __init__(self, site: Site, folder: Path, listens: anyio.Event, *, max_connections: int) -> None:
        self._site = site
        self._folder = folder
        self._listens = listens
        self._max_connections = max_connections

    async def run(self) -> None:
        """Serve until cancelled. Raises StorageError when the socket cannot be made."""
        sock = listen(self._folder)
        server, ended = _Quiet(self._config()), anyio.Event()
        scope = CancelScope(shield=True)  # cancelled only when it has had its time to end

        async def serve() -> None:
            try:
                with scope:
                    await server.serve([sock])
            finally:
                ended.set()

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve, name="api server")
                self._listens.set()
                try:
                    await ended.wait()
                finally:
                    server.should_exit = True
                    with CancelScope(shield=True), anyio.move_on_after(2 * GRACE_S):
                        await ended.wait()
                    scope.cancel()
        finally:
            sock.close()

    def _config(self) -> Config:
        terms = Terms(own_uid(), _affordable(self._max_connections), self._site.counts)
        return Config(
            make_app(self._site),
            loop="none",
            http=cast("type[Protocol]", partial(GuardedConnection, terms)),
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            date_header=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=GRACE_S,
            h11_max_incomplete_event_size=MAX_HEAD_BYTES,
        )


def _affordable(max_connections: int) -> int:
    """Clients must not take the files that the store and the workers need."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max_connections if files == resource.RLIM_INFINITY else min(max_connections, max(4, files // 4))
