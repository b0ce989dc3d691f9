"""How parent and child talk: a length of 4 bytes, big-endian, and msgpack of plain values; nothing is ever unpickled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import ProcessError

if TYPE_CHECKING:
    from collections.abc import Generator

    from altlas_agent.core.records import Record

MAX_FRAME_BYTES = 64 * 1024 * 1024
HEADER_BYTES = 4
OPENING = b"\x00altlas frames\n"
"""What a child says first; before it comes whatever its libraries print."""
MAX_PRINTED_BYTES = 1024 * 1024

DECODER = msgspec.msgpack.Decoder(tuple[int, str, msgspec.Raw])
"""Of a message: number, type or verdict, payload."""


def frame(message: tuple[int, str, Record | tuple[str, str] | None]) -> bytes:
    """A message as it travels."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(HEADER_BYTES, "big") + body


def too_big(what: str, size: int, limit: int) -> str:
    """Why a frame is refused."""
    return f"{what} takes {size} bytes; {limit} are allowed"


class Frames:
    """Puts the bodies of frames together out of what a pipe gives."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()

    @property
    def is_between(self) -> bool:
        """Whether no frame has been begun."""
        return not self._buffer

    def feed(self, chunk: bytes) -> Generator[bytes]:
        """The bodies that are complete with this chunk. Raises ProcessError for one that is too large."""
        self._buffer += chunk
        while len(self._buffer) >= HEADER_BYTES:
            size = int.from_bytes(self._buffer[:HEADER_BYTES], "big")
            if size > self._max_bytes:
                raise ProcessError(too_big("it", size, self._max_bytes))
            end = HEADER_BYTES + size
            if len(self._buffer) < end:
                return
            body = bytes(self._buffer[HEADER_BYTES:end])
            del self._buffer[:end]
            yield body


class Printed:
    """What a child prints before its opening."""

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, chunk: bytes) -> tuple[bytes, bytes] | None:
        """What was printed and what follows the opening, once it has come.

        Raises ProcessError when the opening does not come.
        """
        self._buffer += chunk
        printed, opening, rest = self._buffer.partition(OPENING)
        if opening:
            return printed, rest
        if len(self._buffer) > MAX_PRINTED_BYTES:
            raise ProcessError(f"no opening within {MAX_PRINTED_BYTES} bytes")
        return None
