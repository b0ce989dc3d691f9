"""Who may talk to the daemon, how many at once, and for how long: decided where a connection begins.

    wait                                 ends with
    -----------------------------------  -----------------------------------------------------
    for a whole request                  the client; after `REQUEST_S` the connection is closed
    for the client to read an answer     the client; after `WRITE_S` the connection is cut
    for the next request                 the client; the server's own limit

A connection of another user is refused before a byte of it is read. What is no HTTP is answered as such.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple, cast

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from altlas_agent.daemon.api.answers import error_body

if TYPE_CHECKING:
    from typing import TypedDict, Unpack

    from uvicorn.config import Config
    from uvicorn.protocols.http.h11_impl import RequestResponseCycle
    from uvicorn.server import ServerState

    from altlas_agent.daemon.api.site import Counts

    class Parts(TypedDict):
        """What the server makes a connection of."""

        config: Config
        server_state: ServerState
        app_state: dict[str, object]
        _loop: asyncio.AbstractEventLoop | None


REQUEST_S = 10.0
WRITE_S = 10.0

_CREDENTIALS = struct.Struct("3i")

logger = logging.getLogger(__name__)


class Terms(NamedTuple):
    """Whom to let in, and how many at once."""

    uid: int
    max_connections: int
    counts: Counts


class GuardedConnection(H11Protocol):
    """One connection: let in or refused at once, and cut when its client holds it up."""

    def __init__(self, terms: Terms, **parts: Unpack[Parts]) -> None:
        super().__init__(**parts)
        self._terms = terms
        self._is_in = False
        self._request_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let it in, or say why not and close: nothing of it is read then."""
        assert isinstance(transport, asyncio.Transport), "a socket is read and written"
        uid = _uid_of(transport)
        if uid != self._terms.uid:
            what = f"this daemon serves user {self._terms.uid} only, and not user {uid}"
            self._turn_away(transport, HTTPStatus.FORBIDDEN, "forbidden", what)
        elif self._terms.counts.connections >= self._terms.max_connections:
            what = f"{self._terms.max_connections} clients are connected already; try again later"
            self._turn_away(transport, HTTPStatus.SERVICE_UNAVAILABLE, "busy", what)
        else:
            self._is_in = True
            self._terms.counts.connections += 1
            super().connection_made(transport)
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._is_in:
            return
        self._is_in = False
        self._terms.counts.connections -= 1
        self._stop_timers()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._is_in:
            return
        super().data_received(data)
        if self.conn.their_state not in (h11.IDLE, h11.SEND_BODY) and self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def on_response_complete(self) -> None:
        self._terms.counts.requests += 1
        super().on_response_complete()
        if self._is_in and not self.transport.is_closing():
            self._await_request()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = asyncio.get_running_loop().call_later(WRITE_S, self._cut)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP: say so as everything else is said."""
        self.transport.write(_answer(HTTPStatus.BAD_REQUEST, "invalid", msg))
        self.transport.close()

    def _turn_away(self, transport: asyncio.Transport, status: HTTPStatus, kind: str, message: str) -> None:
        self._terms.counts.refused += 1
        transport.write(_answer(status, kind, message))
        transport.close()

    def _await_request(self) -> None:
        """From now on the clock runs for a whole request, however its bytes come in."""
        if self._request_timer is not None:
            self._request_timer.cancel()
        self._request_timer = asyncio.get_running_loop().call_later(REQUEST_S, self._time_out)

    def _time_out(self) -> None:
        self._request_timer = None
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            self.transport.close()  # it has asked for nothing
        elif (cycle := self._cycle()) is None or not cycle.response_started or cycle.response_complete:
            what = f"no whole request came within {REQUEST_S:g} s"
            self.transport.write(_answer(HTTPStatus.REQUEST_TIMEOUT, "timeout", what))
            self.transport.close()
        else:
            self._cut()

    def _cycle(self) -> RequestResponseCycle | None:
        return self.cycle  # the base says that there always is one, and begins with None

    def _cut(self) -> None:
        """Its client does not do its part: what is still to be written would never go."""
        logger.warning("a client was cut off: it held up its connection")
        self.transport.abort()

    def _stop_timers(self) -> None:
        for timer in (self._request_timer, self._write_timer):
            if timer is not None:
                timer.cancel()


def own_uid() -> int:
    """The user that this process works for."""
    return os.geteuid()


def _uid_of(transport: asyncio.Transport) -> int:
    """Who connected, as the kernel knows it."""
    sock = cast("socket.socket", transport.get_extra_info("socket"))
    _, uid, _ = _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return int(uid)


def _answer(status: HTTPStatus, kind: str, message: str) -> bytes:
    body = error_body(kind, message)
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body
