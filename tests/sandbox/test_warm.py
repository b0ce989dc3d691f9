"""The socket to the fork-server: whatever comes out of it, the worker is not harmed."""

from __future__ import annotations

import socket
import struct
import time

import pytest

from altlas_agent.core.errors import SandboxError
from altlas_agent.core.records import Limits
from altlas_agent.sandbox.limits import bounds
from altlas_agent.sandbox.warm import REPLY, Control

BOUNDS = bounds(Limits(wall_s=0.1, output_kb=1))


FIELDS = (
    "stage", "status", "broken", "wall_us", "cpu_us", "system_us", "max_rss_kb", "stdout_bytes", "stderr_bytes",
)  # fmt: skip


def reply(*, sizes: tuple[int, int, int, int] = (0, 0, 0, 0), **fields: int) -> bytes:
    numbers = [({"stage": 2} | fields).get(name, 0) for name in FIELDS]
    return struct.pack(REPLY, *numbers, *sizes)


def test_a_proper_answer_is_read() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(reply(sizes=(0, 2, 0, 1), status=3 << 8) + b"abc")
        fault, seen, streams = Control(ours).ask(b"request", BOUNDS)
        assert (fault, seen.exit_code, seen.signal, streams) == ("", 3, None, [b"ab", b"", b"c"])


def test_an_answer_in_pieces_is_put_together() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        whole = reply(sizes=(1, 1, 1, 1)) + b"abcd"
        for part in (whole[:3], whole[3:-3], whole[-3:]):
            theirs.sendall(part)
        fault, _, streams = Control(ours).ask(b"request", BOUNDS)
        assert (fault, streams) == ("a", [b"b", b"c", b"d"])


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\0",
        b"\xff" * struct.calcsize(REPLY),
        b"\xff" * 4096,
        reply() + b"more than was announced",
        reply(stage=9),
        reply(stage=-1),
        reply(status=-1),
        reply(status=1 << 20),
        reply(wall_us=-1),
        reply(cpu_us=1 << 60),
        reply(system_us=-1),
        reply(broken=4),
        reply(broken=-1),
        reply(max_rss_kb=2**60),
        reply(stdout_bytes=-1),
        reply(sizes=(0, -1, 0, 0)),
        reply(sizes=(401, 0, 0, 0)) + bytes(401),
        reply(sizes=(0, 1025, 0, 0)) + bytes(1025),
        reply(sizes=(0, 0, 0, 2**33)),
        reply(sizes=(0, 9, 0, 0)) + b"short",
    ],
)
def test_an_answer_that_is_none_is_an_error(answer: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(answer)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises((ValueError, SandboxError)):
            Control(ours).ask(b"request", BOUNDS)


def test_an_answer_that_never_comes_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            Control(ours).ask(b"request", BOUNDS)
        assert 2 < time.monotonic() - began < 4
