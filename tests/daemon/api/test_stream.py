"""The stream tells what is committed, in batches, once and in order, also to those who come back or fall behind."""

from __future__ import annotations

import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.core.errors import NotFoundError, ServiceMissingError, UsageError
from altlas_agent.daemon.api.site import Applied, Begun, RunLines
from altlas_agent.daemon.api.stream import BATCH
from altlas_agent.daemon.service import discovery
from storage.database import FILE_NAME, open_reader
from storage.reading import queries
from tests.daemon.api.raw import connected, request
from tests.daemon.conftest import Daemon, until
from tests.daemon.scripted import CLIENT_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from altlas_agent.daemon.api.client import Batch


def durable(batches: Iterable[Batch]) -> list[int]:
    return [row.seq for batch in batches for row in batch.rows if not row.ephemeral_seq]


def committed(daemon: Daemon, run: int) -> int:
    rows = daemon.client.get("/v1/runs", RunLines).rows
    return next((line.committed_seq for line in rows if line.id == run), 1_000_000)


def stored(daemon: Daemon, run: int) -> int:
    with closing(open_reader(daemon.home / FILE_NAME)) as connection:
        return queries.last_seq(connection, run)


def stop(daemon: Daemon, run: int) -> None:
    daemon.client.post(f"/v1/runs/{run}/stop", Applied)


def until_cut(stream: Iterable[Batch]) -> list[Batch]:
    """What lay in the buffers before the connection was gone, without gaps."""
    heard: list[Batch] = []
    try:
        for batch in stream:
            heard += [] if batch.is_gap else [batch]
    except ServiceMissingError:
        return heard
    raise AssertionError("the connection was not cut")


def test_a_run_is_told_from_its_beginning_to_its_end_once_and_in_order(daemon: Daemon) -> None:
    run = daemon.begin(rate=500.0, attempts=300)
    batches = list(daemon.client.stream(run, after=0))
    seqs = durable(batches)
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) > 300
    assert batches[-1].end == "ended"
    kinds = {row.event["type"] for batch in batches for row in batch.rows}
    assert {"AttemptScored", "WorkerLost", "RunEnded"} <= kinds
    assert all(len(batch.rows) <= BATCH for batch in batches)


def test_what_is_told_is_stored_and_the_cursor_names_it(daemon: Daemon) -> None:
    run = daemon.begin(rate=400.0)
    epoch = daemon.client.announced.epoch
    for number, batch in enumerate(daemon.client.stream(run, after=0)):
        last = batch.rows[-1].seq
        assert stored(daemon, run) >= last
        assert batch.cursor == f"{epoch}-{last}"
        if number == 20:
            break
    stop(daemon, run)


def test_batches_of_a_busy_run_are_few_and_the_first_one_of_a_quiet_run_is_at_once(daemon: Daemon) -> None:
    run = daemon.begin(rate=5.0)
    until(lambda: committed(daemon, run) >= 1)
    stream = daemon.client.stream(run)
    next(stream)
    daemon.client.patch(f"/v1/runs/{run}/config", Applied, {"settings": {"script.rate": 300.0}})
    began, batches = time.monotonic(), 0
    while time.monotonic() - began < 2.0:
        next(stream)
        batches += 1
    assert batches <= 2.0 / 0.1 + 4  # up to 64 in each, else one every 100 ms
    stream.close()
    stop(daemon, run)


def test_who_comes_back_with_its_cursor_misses_nothing_and_hears_nothing_twice(daemon: Daemon) -> None:
    run = daemon.begin(rate=800.0, attempts=1500)
    seqs: list[int] = []
    cursor, end = "0", ""
    while not end:
        for number, batch in enumerate(daemon.client.stream(run, after=cursor)):
            seqs += durable([batch])
            cursor, end = batch.cursor or cursor, batch.end
            if number == 3:
                break
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) >= 1500


def test_a_browsers_header_resumes_as_the_parameter_does(daemon: Daemon) -> None:
    run = daemon.begin(attempts=5, rate=200.0)
    list(daemon.client.stream(run, after=0))
    head = f"GET /v1/stream?run={run} HTTP/1.1\r\nhost: a\r\nlast-event-id: {daemon.client.announced.epoch}-4\r\n\r\n"
    with connected(daemon.socket) as sock:
        sock.sendall(head.encode())
        data = b""
        while b"event: end" not in data:
            data += sock.recv(65536)
    assert b'"seq":4,' not in data
    assert b'"seq":5,' in data


def test_a_run_that_is_over_is_told_from_the_store_and_one_that_never_was_is_not_found(
    daemon: Daemon,
) -> None:
    run = daemon.begin(attempts=200, rate=1000.0)
    until(lambda: committed(daemon, run) == 1_000_000)
    seqs = durable(daemon.client.stream(run, after=0))
    assert seqs == list(range(1, stored(daemon, run) + 1))
    with pytest.raises(NotFoundError):
        next(daemon.client.stream(999_999))


def test_programs_are_told_to_those_who_ask_for_them(daemon: Daemon) -> None:
    run = daemon.begin(attempts=3, rate=100.0)
    lean = msgspec.json.encode(list(daemon.client.stream(run, after=0)))
    assert b"hostile" not in lean
    assert b"tokens" not in lean
    assert b"hostile" in msgspec.json.encode(list(daemon.client.stream(run, after=0, content=True)))


def test_a_cursor_that_lies_ahead_is_refused(daemon: Daemon) -> None:
    run = daemon.begin()
    with pytest.raises(UsageError, match="has no event 999999 yet"):
        next(daemon.client.stream(run, after=999_999))
    stop(daemon, run)


def test_without_a_run_the_only_live_one_is_meant(start: Callable[..., Daemon]) -> None:
    daemon = start().ready()
    status, body = request(daemon.socket, "GET", "/v1/stream")
    assert (status, b"none is live" in body) == (400, True)
    daemon.begin(attempts=3, rate=20.0)
    with connected(daemon.socket) as sock:
        sock.sendall(b"GET /v1/stream?after=0 HTTP/1.1\r\nhost: a\r\n\r\n")
        assert b"text/event-stream" in sock.recv(200)
    daemon.begin()
    daemon.begin()
    status, body = request(daemon.socket, "GET", "/v1/stream")
    assert (status, b"say which run" in body) == (400, True)


def test_a_listener_that_stops_reading_holds_up_nobody_is_cut_and_catches_up_by_its_cursor(
    start: Callable[..., Daemon],
) -> None:
    daemon = start().ready()
    run = daemon.begin(rate=1500.0)
    until(lambda: committed(daemon, run) > 10)
    stopped = daemon.client.stream(run, after=0, content=True)
    first = next(stopped)
    before = committed(daemon, run)
    began = time.monotonic()
    time.sleep(CLIENT_S + 3.0)  # it reads nothing
    rate = (committed(daemon, run) - before) / (time.monotonic() - began)
    assert rate > 100
    stop(daemon, run)
    heard = [first, *until_cut(stopped)]
    seqs = durable([*heard, *daemon.client.stream(run, after=heard[-1].cursor)])
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) == stored(daemon, run)


def test_a_listener_that_falls_behind_is_told_of_a_gap_and_still_gets_all_that_is_durable(
    start: Callable[..., Daemon],
) -> None:
    daemon = start().ready()
    run = daemon.begin(rate=10.0, burst=300)
    stream = daemon.client.stream(run, after=0, content=True)
    batches = [next(stream)]
    until(lambda: b'"cut":1' in request(daemon.socket, "GET", f"/v1/runs/{run}")[1])
    stop(daemon, run)
    batches += stream
    assert any(batch.is_gap for batch in batches)
    seqs = durable(batches)
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) == stored(daemon, run)


def test_after_a_kill_a_cursor_still_holds(start: Callable[..., Daemon]) -> None:
    first = start().ready()
    run = first.begin(rate=500.0)
    stream = first.client.stream(run, after=0)
    heard = [next(stream) for _ in range(10)]
    first.process.send_signal(signal.SIGKILL)
    heard += until_cut(stream)
    cursor = heard[-1].cursor
    first.process.wait(10)
    until(lambda: discovery.find(first.home) is None)
    second = start().ready()
    assert second.client.announced.epoch != cursor.partition("-")[0]
    seqs = durable([*heard, *second.client.stream(run, after=cursor)])
    assert seqs == list(range(1, len(seqs) + 1))
    assert len(seqs) == stored(second, run)


def test_many_listeners_hear_the_same(daemon: Daemon) -> None:
    run = daemon.client.post("/v1/runs", Begun, {"suite": "q", "settings": {"script.rate": 300.0}}).run.id
    streams = [daemon.client.stream(run, after=0) for _ in range(10)]
    heads = [next(stream) for stream in streams]
    stop(daemon, run)
    told = [durable([head, *stream]) for head, stream in zip(heads, streams, strict=True)]
    assert all(each == told[0] for each in told)
    assert told[0] == list(range(1, stored(daemon, run) + 1))
