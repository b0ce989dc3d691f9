"""Answers as JSON, and what went wrong as a status and an object that says its kind and what to do."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from altlas_agent.core.errors import (
    AltlasError,
    DatabaseDamagedError,
    DeadlineExceeded,
    HomeBusyError,
    NotFoundError,
    SchemaNewerError,
    ServiceMissingError,
    SettingsError,
    StorageError,
    TaskError,
    UsageError,
)

if TYPE_CHECKING:
    from starlette.requests import Request

JSON = "application/json"

_STATUSES: tuple[tuple[type[AltlasError], HTTPStatus], ...] = (
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (UsageError, HTTPStatus.BAD_REQUEST),
    (SettingsError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (TaskError, HTTPStatus.UNPROCESSABLE_ENTITY),
    (HomeBusyError, HTTPStatus.CONFLICT),
    (DeadlineExceeded, HTTPStatus.GATEWAY_TIMEOUT),
    (ServiceMissingError, HTTPStatus.SERVICE_UNAVAILABLE),
    (DatabaseDamagedError, HTTPStatus.INSUFFICIENT_STORAGE),
    (SchemaNewerError, HTTPStatus.INSUFFICIENT_STORAGE),
    (StorageError, HTTPStatus.INSUFFICIENT_STORAGE),
)
"""The first that fits. Everything else that AltLAS raises on purpose means: not as things stand now."""

_json = msgspec.json.Encoder()


class Refused(Exception):
    """Raised when a request is answered with a refusal of the API itself."""

    def __init__(self, status: HTTPStatus, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


def answer(value: object, status: HTTPStatus = HTTPStatus.OK) -> Response:
    """A record, or plain values, as JSON."""
    return Response(_json.encode(value), status, media_type=JSON)


def ready_made(body: bytes) -> Response:
    """What is JSON already."""
    return Response(body, media_type=JSON)


def refusal(status: HTTPStatus, kind: str, message: str) -> Response:
    """An error as every client gets it. The connection ends: what is left of the request is not read."""
    response = Response(error_body(kind, message), status, media_type=JSON)
    response.headers["connection"] = "close"
    return response


def error_body(kind: str, message: str) -> bytes:
    return _json.encode({"error": {"kind": kind, "message": message}})


def kind_of(error: type[AltlasError]) -> str:
    """NotFoundError is not_found, as in the JSON of commands."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", error.__name__.removesuffix("Error")).lower()


async def on_altlas_error(_request: Request, error: Exception) -> Response:
    """What was raised on purpose."""
    assert isinstance(error, AltlasError)
    status = next((code for kind, code in _STATUSES if isinstance(error, kind)), HTTPStatus.CONFLICT)
    return refusal(status, kind_of(type(error)), error.message)


async def on_refused(_request: Request, error: Exception) -> Response:
    """What the API refuses."""
    assert isinstance(error, Refused)
    return refusal(error.status, error.kind, error.message)


async def on_bug(_request: Request, _error: Exception) -> Response:
    """What nobody meant; the server logs it."""
    return refusal(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal",
        "a bug; the log of the daemon says where: altlas daemon log",
    )
