"""Our ends of a child's standard input and output.

    loop     waits for         unblocked by
    -------  ----------------  ----------------------------------
    send     room in the pipe  the child, or its death; `close`
    receive  bytes             the child, or its death; `close`

Descriptors and no streams: an event loop's streams cost a turn of the loop for each layer, and a message here is
answered within a millisecond.
"""

from __future__ import annotations

import os

import anyio
from anyio import ClosedResourceError

CHUNK_BYTES = 64 * 1024
_CLOSED = -1


class Pipes:
    """Made before the child starts, which gets `stdin` and `stdout`; then `child_started` has to be called."""

    def __init__(self) -> None:
        self.stdin, self._to_child = os.pipe()
        self._from_child, self.stdout = os.pipe()
        os.set_blocking(self._to_child, False)
        os.set_blocking(self._from_child, False)

    def child_started(self) -> None:
        """Give up the ends that belong to the child."""
        os.close(self.stdin)
        os.close(self.stdout)

    def send_now(self, data: bytes) -> int:
        """How many bytes there was room for. Raises OSError when nobody reads them, ClosedResourceError after `hang_up`."""
        if self._to_child == _CLOSED:
            raise ClosedResourceError
        try:
            return os.write(self._to_child, data)
        except BlockingIOError:
            return 0

    async def send(self, data: bytes) -> None:
        """All of it, however long that takes; raises as `send_now`."""
        left = memoryview(data)
        while left := left[self.send_now(left[:CHUNK_BYTES].tobytes()) :]:
            await anyio.wait_writable(self._to_child)

    async def receive(self) -> bytes:
        """The next bytes; b"" at the end. Raises ClosedResourceError when `close` is called meanwhile."""
        while self._from_child != _CLOSED:
            try:
                return os.read(self._from_child, CHUNK_BYTES)
            except BlockingIOError:
                await anyio.wait_readable(self._from_child)
        raise ClosedResourceError

    def hang_up(self) -> None:
        """Let the child see the end of its input; may be called twice."""
        if self._to_child != _CLOSED:
            fd, self._to_child = self._to_child, _CLOSED
            anyio.notify_closing(fd)
            os.close(fd)

    def close(self) -> None:
        """Both ends; may be called twice."""
        self.hang_up()
        if self._from_child != _CLOSED:
            fd, self._from_child = self._from_child, _CLOSED
            anyio.notify_closing(fd)
            os.close(fd)
