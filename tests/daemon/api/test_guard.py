"""Hostile clients are refused with a clear error, and everybody else is served meanwhile."""

from __future__ import annotations

import os
import random
import resource
import socket
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

from altlas_agent.core.errors import ServiceMissingError
from altlas_agent.daemon.api.bodies import MAX_BODY_BYTES, MAX_BRACKETS, is_deeper
from altlas_agent.daemon.api.site import Info
from tests.daemon.api.raw import connected, read_all, refusal, request, say, split
from tests.daemon.conftest import Daemon, until
from tests.daemon.scripted import CLIENT_S


@pytest.fixture(autouse=True)
def _goes_on(daemon: Daemon) -> object:
    """After each of these the daemon serves as before."""
    yield
    until(lambda: _connections(daemon) <= 1)
    assert daemon.client.get("/v1/info", Info).daemon.pid == daemon.process.pid
    assert daemon.process.poll() is None


def _connections(daemon: Daemon) -> float:
    """How many clients are connected, without this one; a refusal counts as many."""
    status, body = request(daemon.socket, "GET", "/metrics")
    found = [line for line in body.decode().splitlines() if line.startswith("altlas_api_connections ")]
    return float(found[0].split()[1]) if status == 200 else 1e9


def test_garbage_is_answered_as_such_and_the_connection_closed(daemon: Daemon) -> None:
    dice = random.Random(7)
    for size in (1, 2, 17, 300, 5000, 100_000):
        status, body = say(daemon.socket, dice.randbytes(size) + b"\r\n\r\n")
        assert status == 400, size
        assert refusal(body).kind == "invalid"


@pytest.mark.parametrize(
    "words",
    [
        b"GET /v1/info\r\n\r\n",
        b"\x00\x00\x00\x10\x82\xa1a\x01\r\n\r\n",
        b"POST /v1/runs HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST /v1/runs HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /v1/runs HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nx: " + b"y" * 1_000_000,
        b"GET /" + b"y" * 1_000_000,
    ],
)
def test_broken_heads_are_answered_as_such(daemon: Daemon, words: bytes) -> None:
    status, body = say(daemon.socket, words)
    assert status in (400, 501)
    assert refusal(body).kind == "invalid"


def test_a_body_that_says_it_is_too_long_is_refused_before_it_comes(daemon: Daemon) -> None:
    head = f"POST /v1/runs HTTP/1.1\r\nhost: a\r\ncontent-length: {MAX_BODY_BYTES + 1}\r\n\r\n"
    status, body = say(daemon.socket, head.encode())
    assert (status, refusal(body).kind) == (413, "too_large")


def test_a_body_without_end_is_cut_at_its_bound(daemon: Daemon) -> None:
    head = b"POST /v1/runs HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b"[" * 0x10000 + b"\r\n"
    status, body = say(daemon.socket, head, *[chunk] * 40)
    assert (status, refusal(body).kind) == (413, "too_large")


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"settings":' * 80_000,
        b"[" * 65 + b"]" * 65,
        b'{"suite":"q","settings":{"a":' + b"[" * 64 + b"]" * 64 + b"}}",
        b"[]," * 300_000,
        b"]",
        b'{"suite": "q", "settings": {"a": NaN}}',
        b'{"suite": "\xff\xfe"}',
        b"",
        b"null",
    ],
    ids=lambda body: body[:12].decode("latin-1") + f"..{len(body)}",
)
def test_what_is_nested_too_deep_or_is_no_record_is_refused(daemon: Daemon, body: bytes) -> None:
    began = time.monotonic()
    status, answer = request(daemon.socket, "POST", "/v1/runs", body)
    assert (status, refusal(answer).kind) == (400, "invalid")
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("body", "is_too_deep"),
    [
        (b"[" * 64 + b"]" * 64, False),
        (b"[" * 65 + b"]" * 65, True),
        (b'{"a":' * 64 + b"1" + b"}" * 64, False),
        (b'"' + b"[" * 100 + b'"', False),
        (b'"\\"[[' + b"[" * 100 + b'"', False),
        (b"[]" * (MAX_BRACKETS // 2), False),
        (b"[]" * MAX_BRACKETS, True),
        (b"5", False),
    ],
)
def test_depth_is_counted_outside_of_strings(body: bytes, *, is_too_deep: bool) -> None:
    assert is_deeper(body, 64) is is_too_deep


def test_half_a_request_that_never_ends_is_cut_at_the_deadline_while_others_are_served(
    daemon: Daemon,
) -> None:
    with ExitStack() as stack:
        halves = [
            b"",
            b"GET /v1/in",
            b"GET /v1/info HTTP/1.1\r\nhost: a\r\n",
            b"POST /v1/runs HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{",
        ]
        socks = [stack.enter_context(connected(daemon.socket, CLIENT_S + 10)) for _ in halves]
        for sock, half in zip(socks, halves, strict=True):
            sock.sendall(half)
        began = time.monotonic()
        for _ in range(3):  # drop by drop does not help
            time.sleep(1.0)
            socks[2].sendall(b"x: y\r\n")
            assert daemon.client.get("/v1/info", Info).daemon.pid == daemon.process.pid
        answers = [split(read_all(sock)) for sock in socks]
        assert time.monotonic() - began < CLIENT_S + 5
    assert answers[0] == (0, b"")
    for status, body in answers[1:]:
        assert (status, refusal(body).kind) == (408, "timeout")


def test_a_client_that_asks_and_does_not_read_is_cut(daemon: Daemon) -> None:
    with connected(daemon.socket, 60.0) as sock:
        asked = b"GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n"
        sock.setblocking(False)
        try:
            for _ in range(20_000):  # pipelined, until both buffers are full
                sock.send(asked)
        except BlockingIOError:
            pass
        until(lambda: _connections(daemon) <= 1, patience_s=30.0)


def test_ten_thousand_connections_are_turned_away_with_a_reason_and_the_daemon_goes_on(
    daemon: Daemon,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MANY, str(daemon.socket)],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    served, busy, other = map(int, done.stdout.split())
    assert other == 0
    assert served + busy == 10_000
    assert busy > 9_000
    assert daemon.client.get("/v1/info", Info).runs == 0


_MANY = """
import resource, socket, sys
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
together = min(10_000, hard - 100)
kept, served, busy, other = [], 0, 0, 0
for number in range(10_000):
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(sys.argv[1])
    kept.append(sock)
    if len(kept) == together or number == 9_999:
        for each in kept:
            each.settimeout(0.0)
            try:
                answer = each.recv(4096)
            except BlockingIOError:
                served += 1
            except ConnectionResetError:
                other += 1
            else:
                is_busy = b" 503 " in answer and b'"kind":"busy"' in answer
                was_served = answer == b"" or b" 408 " in answer  # and has kept the daemon waiting too long
                busy, served = busy + is_busy, served + was_served
                other += not is_busy and not was_served
            each.close()
        kept.clear()
print(served, busy, other)
"""


def test_above_the_cap_a_client_is_told_to_come_later(daemon: Daemon) -> None:
    with ExitStack() as stack:
        for _ in range(24):
            stack.enter_context(connected(daemon.socket))
        until(lambda: say(daemon.socket, b"")[0] == 503)
        with pytest.raises(ServiceMissingError, match="24 clients are connected already"):
            daemon.client.get("/v1/info", Info)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_another_user_is_refused_by_the_folder_and_where_that_is_open_before_a_byte_is_read(
    daemon: Daemon,
) -> None:
    ask = (
        "import os, socket, sys\n"
        "os.setgroups([]), os.setgid(65534), os.setuid(65534)\n"
        "sock = socket.socket(socket.AF_UNIX)\n"
        "try:\n    sock.connect(sys.argv[1])\nexcept PermissionError:\n    sys.exit('no way in')\n"
        "sys.stdout.buffer.write(sock.recv(4096))\n"
    )

    def as_nobody() -> subprocess.CompletedProcess[bytes]:
        words = [sys.executable, "-c", ask, str(daemon.socket)]
        return subprocess.run(words, capture_output=True, timeout=20, check=False)

    opened = [*daemon.socket.parents][:-2]
    modes = {path: path.stat().st_mode for path in [*opened, daemon.socket]}
    try:
        for path in opened[1:]:
            path.chmod(0o755)
        assert b"no way in" in as_nobody().stderr
        opened[0].chmod(0o755)
        assert b"no way in" in as_nobody().stderr
        daemon.socket.chmod(0o666)
        status, body = split(as_nobody().stdout)
        assert (status, refusal(body).kind) == (403, "forbidden")
        assert "user 65534" in refusal(body).message
    finally:
        for path, mode in modes.items():
            path.chmod(mode & 0o7777)


def test_a_few_file_descriptors_are_enough_to_go_on(daemon: Daemon) -> None:
    before = resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE)
    try:
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (26, before[1]))
        with ExitStack() as stack:
            for _ in range(20):
                sock = socket.socket(socket.AF_UNIX)
                stack.callback(sock.close)
                sock.setblocking(False)
                sock.connect_ex(str(daemon.socket))
            time.sleep(0.5)
    finally:
        resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, before)
    assert daemon.client.get("/v1/info", Info).daemon.pid == daemon.process.pid
