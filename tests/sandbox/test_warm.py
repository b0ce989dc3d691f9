"""The socket to the fork-server: whatever comes out of it, the worker is not harmed."""

from __future__ import annotations

import json
import socket
import struct
import time

import pytest

from altlas_agent.core.errors import SandboxError
from altlas_agent.core.records import Limits
from altlas_agent.sandbox.limits import bounds
from altlas_agent.sandbox.warm import Control

BOUNDS = bounds(Limits(wall_s=0.1, output_kb=1))


def reply(**fields: object) -> bytes:
    text = json.dumps({"stage": 2, "status": 0, "sizes": [0, 0, 0]} | fields).encode()
    return struct.pack("!I", len(text)) + text


def test_a_proper_answer_is_read() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(reply(sizes=[2, 0, 1], status=3 << 8) + b"abc")
        _, seen, streams = Control(ours).ask(b"request", BOUNDS)
        assert (seen.exit_code, seen.signal, streams) == (3, None, [b"ab", b"", b"c"])


@pytest.mark.parametrize(
    "answer",
    [
        struct.pack("!I", 0xFFFFFFFF),
        struct.pack("!I", 5) + b"hello",
        struct.pack("!I", 2) + b"[]",
        b"\0",
        b"",
        reply(extra=1),
        reply(stage=9),
        reply(status=-1),
        reply(status=0x7F),
        reply(status=1 << 20),
        reply(wall_s=-1.0),
        reply(cpu_s=float("nan")),
        reply(broken="nothing"),
        reply(sizes=[0, 0]),
        reply(sizes=[-1, 0, 0]),
        reply(sizes=[1025, 0, 0]) + bytes(1025),
        reply(sizes=[0, 0, 2**33]),
        reply(sizes=[9, 0, 0]) + b"short",
        reply(fault=1),
        reply(max_rss_kb=2**60),
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
