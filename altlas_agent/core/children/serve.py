"""The child's side: answers the requests of the parent, one after the other.

    loop   waits for  unblocked by
    -----  ---------  -----------------------------------------------------
    serve  a request  the parent; the end of its stdin, which is the end of it

The child opens its side with `OPENING`: what a library prints before that belongs to the log.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from altlas_agent.core.children.frames import DECODER, HEADER_BYTES, MAX_FRAME_BYTES, OPENING, frame, too_big
from altlas_agent.core.children.watch import die_with_parent
from altlas_agent.core.errors import AltlasError, ProcessError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from altlas_agent.core.records import Record


def serve(
    handlers: Mapping[type[Record], Callable[..., Record | None]],
    *,
    prepare: Callable[[], None] | None = None,
    max_frame_bytes: int = MAX_FRAME_BYTES,
) -> None:
    """The child's loop: answer requests one at a time, in order, until the parent closes stdin.

    `handlers` maps a request type to the function that answers it. `prepare` does, before the first request
    is there, what every request needs: imports, for example. From the call on, what anybody
    prints goes to stderr. An AltlasError of a handler is raised by the `ask` of the parent; any other
    exception is a bug: the parent is told its last line, the traceback goes to stderr and the process
    ends with exit code 1.
    """
    source, sink = _take_streams()
    die_with_parent()
    signal.signal(signal.SIGINT, _ignore)
    by_name = {kind.__name__: (kind, function) for kind, function in handlers.items()}
    assert len(by_name) == len(handlers), "two request types of one name"
    if prepare is not None:
        gc.disable()  # what is imported stays: to look through it again and again is a seventh of the time
        prepare()
        gc.enable()
    gc.freeze()  # what has been imported stays: no collection has to look at it again
    while (body := _read_frame(source, max_frame_bytes)) is not None:
        number, name, payload = DECODER.decode(body)
        bug = False
        try:
            reply = frame((number, "ok", _answer(by_name, name, payload)))
            if len(reply) > max_frame_bytes:
                raise ProcessError(too_big(f"the answer to {name}", len(reply), max_frame_bytes))
        except AltlasError as error:
            reply = frame((number, "error", (type(error).__name__, error.message)))
        except Exception as error:  # noqa: BLE001 - a bug: told to the parent, then this process ends
            traceback.print_exc()
            reply = frame((number, "error", ("", traceback.format_exception_only(error)[-1].strip())))
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


def _read_frame(source: BinaryIO, max_frame_bytes: int) -> bytes | None:
    """The next frame; None at the end of the conversation, also in the middle of a frame."""
    header = source.read(HEADER_BYTES)
    size = int.from_bytes(header, "big")
    if len(header) < HEADER_BYTES:
        return None
    if size > max_frame_bytes:
        raise SystemExit(too_big("a request", size, max_frame_bytes))
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
