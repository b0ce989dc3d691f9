"""How the command line talks to a daemon: requests over its socket, and its stream of events.

What the daemon refuses is raised here as the same error. Nothing heavier than `http.client`.
"""

from __future__ import annotations

import http.client
import re
import socket
import struct
from contextlib import closing, contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import msgspec

from altlas_agent.core.errors import (
    AltlasError,
    DeadlineExceeded,
    ProcessError,
    ServiceMissingError,
    UsageError,
    revived,
)
from altlas_agent.core.records import Record
from altlas_agent.daemon.service import discovery
from altlas_agent.daemon.service.place import address

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from altlas_agent.daemon.service.discovery import Announced

TIMEOUT_S = 10.0
START_TIMEOUT_S = 200.0
"""For requests that start a run or save one: the daemon has deadlines of its own for them."""

SILENCE_S = 40.0
"""How long a stream may say nothing; the daemon says that it is alive more often."""

_MAX_ANSWER_BYTES = 64 * 1024 * 1024
_TIMEVAL = struct.Struct("ll")
_OF_THE_API = {"invalid", "too_large", "forbidden", "busy", "timeout", "stopping", "internal"}
"""Kinds of refusals that are no errors of AltLAS."""


T = TypeVar("T", bound=Record)


class Row(Record):
    """One event on a stream. `event` is as JSON says it, and tells its `type`."""

    run: int
    seq: int
    ephemeral_seq: int
    wall_ns: int
    cause_seq: int | None
    event: dict[str, object]


class Batch(NamedTuple):
    """What came at once: events, with the cursor after them.

    An empty one with `is_gap` tells that ephemeral events were lost; with an `end`, that the run is over and
    in which state it is.
    """

    cursor: str = ""
    rows: tuple[Row, ...] = ()
    is_gap: bool = False
    end: str = ""


class _End(msgspec.Struct):
    state: str


class _Error(msgspec.Struct):
    kind: str
    message: str


class _Refusal(msgspec.Struct):
    error: _Error


class _Connection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path, timeout_s: float) -> None:
        super().__init__("altlas", timeout=timeout_s)
        self._path = path
        self._timeout_s = timeout_s

    def connect(self) -> None:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            # A socket with a timeout would not wait for a place in the queue, but fail at once.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _TIMEVAL.pack(*_timeval(self._timeout_s)))
            with address(self._path) as short:
                sock.connect(short)
            sock.settimeout(self._timeout_s)
        except BaseException:
            sock.close()
            raise
        self.sock = sock


class Client:
    """Talks to one daemon, one connection per request."""

    def __init__(self, announced: Announced) -> None:
        self.announced = announced

    def get(self, path: str, kind: type[T], *, timeout_s: float = TIMEOUT_S) -> T:
        """Look at something. Raises ServiceMissingError, DeadlineExceeded, and what the daemon refused with."""
        return self._request("GET", path, kind, body=None, timeout_s=timeout_s)

    def post(
        self,
        path: str,
        kind: type[T],
        body: Mapping[str, object] | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> T:
        """Change something. Raises as `get` does."""
        return self._request("POST", path, kind, body=body or {}, timeout_s=timeout_s)

    def patch(
        self, path: str, kind: type[T], body: Mapping[str, object], *, timeout_s: float = TIMEOUT_S
    ) -> T:
        """Change a part of something. Raises as `get` does."""
        return self._request("PATCH", path, kind, body=body, timeout_s=timeout_s)

    def probe(self, path: str, kind: type[T], *, timeout_s: float = TIMEOUT_S) -> tuple[bool, T]:
        """What `/healthz` or `/readyz` says: whether it is well, and the rest. Raises as `get` does."""
        with self._asked("GET", path, None, timeout_s) as response:
            data = response.read(_MAX_ANSWER_BYTES)
            if response.status not in (HTTPStatus.OK, HTTPStatus.SERVICE_UNAVAILABLE):
                raise _refused(response.status, data)
            return response.status == HTTPStatus.OK, _decoded(data, kind)

    def stream(
        self, run_id: int, *, after: str | int | None = None, content: bool = False
    ) -> Generator[Batch]:
        """Events of a run behind a cursor, or from now on, as they come; the last one is the `end`.

        Raises as `get` does, and ServiceMissingError when the daemon goes away: begin again after the last
        cursor.
        """
        path = f"/v1/stream?run={run_id}" + (f"&after={after}" if after is not None else "")
        path += "&content=true" if content else ""
        with self._asked("GET", path, None, SILENCE_S) as response:
            if response.status != HTTPStatus.OK:
                raise _refused(response.status, response.read(_MAX_ANSWER_BYTES))
            for batch in _batches(response):
                yield batch
                if batch.end:
                    return
        raise self._gone("the stream ended without a word")

    def _request(
        self, method: str, path: str, kind: type[T], *, body: Mapping[str, object] | None, timeout_s: float
    ) -> T:
        with self._asked(method, path, body, timeout_s) as response:
            data = response.read(_MAX_ANSWER_BYTES)
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise _refused(response.status, data)
            return _decoded(data, kind)

    @contextmanager
    def _asked(
        self, method: str, path: str, body: Mapping[str, object] | None, timeout_s: float
    ) -> Generator[http.client.HTTPResponse]:
        connection = _Connection(Path(self.announced.socket), timeout_s)
        data = None if body is None else msgspec.json.encode(body)
        headers = {"content-type": "application/json", "connection": "close"}
        try:
            with closing(connection):
                with suppress(BrokenPipeError, ConnectionResetError):  # refused unread: the answer says why
                    connection.request(method, path, data, headers)
                yield connection.getresponse()
        except TimeoutError as error:
            raise DeadlineExceeded("the daemon", f"{method} {path}", timeout_s) from error
        except (OSError, http.client.HTTPException) as error:
            raise self._gone(str(error) or type(error).__name__) from error

    def _gone(self, detail: str) -> ServiceMissingError:
        return ServiceMissingError(
            f"the daemon (process {self.announced.pid}) does not answer at {self.announced.socket}: {detail}; "
            "see: altlas daemon status"
        )


def connect(home: Path) -> Client:
    """A client of the daemon that holds this home. Raises ServiceMissingError when there is none."""
    announced = discovery.find(home)
    if announced is None:
        raise ServiceMissingError(f"no daemon serves the home {home}; start one: altlas daemon start")
    if announced.api != discovery.API:
        raise ServiceMissingError(
            f"the daemon of {home} is AltLAS {announced.version}, which this command cannot talk to; "
            "restart it: altlas daemon stop, then altlas daemon start"
        )
    return Client(announced)


def _timeval(seconds: float) -> tuple[int, int]:
    """Seconds and microseconds, as the kernel takes a timeout."""
    return int(seconds), int(seconds % 1 * 1_000_000)


def _decoded(data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise ProcessError(f"the daemon answered with something unreadable: {error}") from error


def _refused(status: int, data: bytes) -> AltlasError:
    """The error that the daemon had, as itself."""
    try:
        error = msgspec.json.decode(data, type=_Refusal).error
    except msgspec.DecodeError:
        return ProcessError(f"the daemon answered with status {status} and no reason")
    return error_of(error.kind, error.message)


def error_of(kind: str, message: str) -> AltlasError:
    """The error that another process told as JSON, as itself."""
    if kind in ("invalid", "too_large"):
        return UsageError(message)
    if kind in _OF_THE_API:
        return ServiceMissingError(message)
    name = re.sub(r"(?:^|_)([a-z])", lambda found: found[1].upper(), kind)
    known = {f"{name}Error", name}
    return revived(next(iter(sorted(known & _names(AltlasError), reverse=True)), ""), message)


def _names(root: type[AltlasError]) -> set[str]:
    return {root.__name__}.union(*(_names(below) for below in root.__subclasses__()))


def _batches(response: http.client.HTTPResponse) -> Iterator[Batch]:
    """The frames of a stream. A frame that its end cuts short is dropped: its cursor was not given."""
    fields: dict[str, str] = {}
    while line := response.readline():
        text = line.decode().rstrip("\r\n")
        if text:
            name, _, value = text.partition(": ")
            fields[name] = value  # a comment has an empty name
        elif "data" in fields:
            yield _batch(fields)
            fields = {}


def _batch(fields: Mapping[str, str]) -> Batch:
    data = fields["data"]
    match fields.get("event", ""):
        case "":
            rows = msgspec.json.decode(data, type=tuple[Row, ...])
            return Batch(cursor=fields.get("id", ""), rows=rows)
        case "end":
            return Batch(end=msgspec.json.decode(data, type=_End).state)
        case _:
            return Batch(is_gap=True)
