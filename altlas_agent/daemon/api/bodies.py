"""What clients send: bodies within bounds, and closed records made of them."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec
from starlette.requests import ClientDisconnect

from altlas_agent.core.records import Record
from altlas_agent.daemon.api.answers import Refused
from storage.runs.marks import MAX_NOTE, TAG

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BODY_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_BRACKETS = 20_000
"""Arrays and objects may open and close so often: counting more of them would hold up everybody else."""

_STRINGS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))

T = TypeVar("T", bound=Record)

Line = Annotated[str, msgspec.Meta(max_length=4096, pattern=r"\A[^\x00]*\Z")]
Tag = Annotated[str, msgspec.Meta(pattern=TAG)]


class StartRun(Record):
    """Begin a run over a suite: the name of a shipped one, or an absolute path. `settings` by dotted names."""

    suite: Line
    settings: dict[str, object] = {}  # noqa: RUF012 - of a frozen record; msgspec copies it
    name: Line = ""


class ChangeSettings(Record):
    """Set live settings by their dotted names."""

    settings: dict[str, object] = {}  # noqa: RUF012 - as above


class ChangeTags(Record):
    """Give these words to a run, and take those away."""

    add: tuple[Tag, ...] = ()
    remove: tuple[Line, ...] = ()


class ChangeNote(Record):
    """Replace what was written about a run."""

    note: Annotated[str, msgspec.Meta(max_length=MAX_NOTE)]


class Nothing(Record):
    """A request that says it all by its path; the body may be missing."""


async def read_body(request: Request, kind: type[T]) -> T:
    """The body as a record. Raises Refused for one that is too long, too deep, or no such record."""
    body = await _bytes(request)
    if is_deeper(body, MAX_DEPTH):
        what = f"the body is no JSON, or nested more than {MAX_DEPTH} deep, or has too many parts"
        raise Refused(HTTPStatus.BAD_REQUEST, "invalid", what)
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "invalid", f"the body is refused: {error}") from error


def is_deeper(body: bytes, depth: int) -> bool:
    """Whether brackets nest deeper than `depth`, or do not match, or are too many.

    It is looked at before anything is built.
    """
    brackets = _STRINGS.sub(b"", body).translate(None, _NOT_BRACKETS)
    if len(brackets) > MAX_BRACKETS:
        return True
    for _ in range(depth):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return bool(brackets)


async def _bytes(request: Request) -> bytes:
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > MAX_BODY_BYTES:
        raise _too_long()
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise _too_long()
    except ClientDisconnect as error:
        raise Refused(HTTPStatus.BAD_REQUEST, "invalid", "the body never came to its end") from error
    return bytes(body)


def _too_long() -> Refused:
    what = f"the body is longer than {MAX_BODY_BYTES} bytes"
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too_large", what)
