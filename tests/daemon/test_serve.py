"""The life of a whole daemon: one per home, found by its clients, gone within five seconds, back after a kill."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import time
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import Exit, ServiceMissingError
from altlas_agent.core.events import LoopBlocked, unpack
from altlas_agent.daemon.api.client import connect
from altlas_agent.daemon.api.site import Applied, Info, RunLines
from altlas_agent.daemon.service import discovery
from storage.database import FILE_NAME, open_reader
from storage.journal import JOURNAL_RUN
from storage.reading import queries
from tests.daemon.conftest import Daemon, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from storage.reading.views import EventView

    Start = Callable[..., Daemon]


def stored_events(home: Path, run_id: int) -> list[EventView]:
    if not (home / FILE_NAME).exists():
        return []
    with closing(open_reader(home / FILE_NAME)) as connection:
        return queries.events_page(connection, run_id, limit=10_000)


def stacks(home: Path, run_id: int) -> list[LoopBlocked]:
    events = [unpack(view.payload) for view in stored_events(home, run_id) if view.type == "LoopBlocked"]
    return [event for event in events if isinstance(event, LoopBlocked)]


def test_the_socket_its_folder_and_the_announcement_are_for_the_owner_only(start: Start) -> None:
    daemon = start().ready()
    modes = [
        stat.S_IMODE(path.stat().st_mode)
        for path in (daemon.socket, daemon.socket.parent, daemon.home / "run" / f"{daemon.process.pid}.json")
    ]
    assert modes == [0o600, 0o700, 0o600]
    assert stat.S_ISSOCK(daemon.socket.stat().st_mode)


def test_where_there_is_a_runtime_folder_the_socket_lies_there_and_is_found_from_the_home(
    start: Start, tmp_path: Path
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    daemon = start(environ={"XDG_RUNTIME_DIR": str(shared)}).ready()
    assert daemon.socket.parent.parent == shared / "altlas"
    assert daemon.client.get("/v1/info", Info).daemon.pid == daemon.process.pid


def test_a_second_daemon_of_a_home_fails_at_once_and_names_the_first(start: Start) -> None:
    first = start().ready()
    second = start()
    _, stderr = second.process.communicate(timeout=20)
    assert second.process.returncode == Exit.HOME_BUSY
    assert f"held by process {first.process.pid} on " in stderr
    assert first.client.get("/v1/info", Info).daemon.pid == first.process.pid


def test_sigterm_under_load_drains_within_five_seconds_and_everything_acknowledged_is_stored(
    start: Start,
) -> None:
    daemon = start().ready()
    runs = [daemon.begin(rate=500.0) for _ in range(4)]
    streams = [
        subprocess.Popen(_curl(daemon, f"/v1/stream?run={run}"), stdout=subprocess.DEVNULL) for run in runs
    ]
    until(lambda: all(line.committed_seq > 200 for line in daemon.client.get("/v1/runs", RunLines).rows))
    committed = {line.id: line.committed_seq for line in daemon.client.get("/v1/runs", RunLines).rows}
    socket_path = daemon.socket
    code, seconds = daemon.end()
    assert (code, seconds < 5) == (Exit.DONE, True)
    for run in runs:
        events = stored_events(daemon.home, run)
        assert [view.seq for view in events] == list(range(1, len(events) + 1))
        assert len(events) >= committed[run]
        assert events[-1].type == "RunEnded"
    for stream in streams:
        stream.wait(10)
    assert not socket_path.exists()
    assert discovery.find(daemon.home) is None


def _curl(daemon: Daemon, path: str) -> list[str]:
    return ["python3", "-c", _READ_ALL, str(daemon.socket), path]


_READ_ALL = """
import socket, sys
with socket.socket(socket.AF_UNIX) as sock:
    sock.connect(sys.argv[1])
    sock.sendall(b"GET %s HTTP/1.1\\r\\nhost: a\\r\\n\\r\\n" % sys.argv[2].encode())
    while sock.recv(65536):
        pass
"""


def test_runs_that_do_not_end_hold_it_up_for_five_seconds_at_most(start: Start) -> None:
    daemon = start().ready()
    daemon.begin(stubborn=True)
    until(lambda: daemon.client.get("/v1/runs", RunLines).rows[0].state == "running")
    code, seconds = daemon.end()
    assert (code, seconds < 5) == (Exit.DONE, True)


def test_a_second_signal_does_not_wait_for_the_runs(start: Start) -> None:
    daemon = start().ready()
    daemon.begin(stubborn=True)
    until(lambda: daemon.client.get("/v1/runs", RunLines).rows[0].state == "running")
    daemon.process.send_signal(signal.SIGINT)
    until(lambda: daemon.client.get("/v1/info", Info).stopping)
    code, seconds = daemon.end(signal.SIGTERM)
    assert (code, seconds < 2.5) == (Exit.DONE, True)


def test_the_api_can_end_it_too(start: Start) -> None:
    daemon = start().ready()
    assert daemon.client.post("/v1/shutdown?drain=1", Applied).applied
    assert daemon.process.wait(10) == Exit.DONE


def test_after_a_kill_it_starts_again_over_the_stale_socket_and_what_was_acknowledged_is_there(
    start: Start,
) -> None:
    first = start().ready()
    run = first.begin(rate=200.0)
    until(lambda: first.client.get("/v1/runs", RunLines).rows[0].committed_seq > 50)
    committed = first.client.get("/v1/runs", RunLines).rows[0].committed_seq
    path = first.socket
    first.end(signal.SIGKILL)
    assert path.exists()
    assert (first.home / "run" / f"{first.process.pid}.json").exists()
    with pytest.raises(ServiceMissingError, match="no daemon serves"):  # and the stale file is swept
        connect(first.home)
    assert not (first.home / "run" / f"{first.process.pid}.json").exists()
    second = start().ready()
    assert second.client.get("/v1/info", Info).daemon.pid == second.process.pid
    assert len(stored_events(first.home, run)) >= committed
    with closing(open_reader(first.home / FILE_NAME)) as connection:
        assert queries.find_run(connection, f"r{run}").status == "crashed"


def test_of_a_process_whose_number_is_used_again_nothing_is_found(start: Start) -> None:
    daemon = start().ready()
    folder = daemon.home / "run"
    fields = json.loads((folder / f"{daemon.process.pid}.json").read_text())
    (folder / "1.json").write_text(json.dumps(fields | {"pid": os.getpid(), "started_ns": 2**62}))
    assert daemon.client.announced.pid == daemon.process.pid
    assert not (folder / "1.json").exists()


def test_a_blocked_loop_is_stored_with_its_stacks_while_it_is_blocked_and_the_live_probe_fails(
    start: Start,
) -> None:
    daemon = start().ready()
    run = daemon.begin(block_s=5.0)
    began = time.monotonic()
    until(lambda: stacks(daemon.home, JOURNAL_RUN), patience_s=4.0)
    assert time.monotonic() - began < 3.0
    [blocked] = stacks(daemon.home, JOURNAL_RUN)
    assert not blocked.is_over
    assert "ScriptedRun.live" in blocked.handler
    assert any("signals" in line for line in blocked.tasks)
    assert _probe(daemon.socket) == b""  # nobody answers
    until(lambda: stacks(daemon.home, run))
    [over] = stacks(daemon.home, run)
    assert over.is_over
    assert 4.0 < over.blocked_s < 6.0
    assert _probe(daemon.socket).startswith(b"HTTP/1.1 200")


def _probe(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(1.0)
        sock.connect(str(path))
        sock.sendall(b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        try:
            return sock.recv(4096)
        except TimeoutError:
            return b""


def test_a_damaged_database_is_refused_with_its_own_code(start: Start) -> None:
    first = start().ready()
    first.end()
    path = first.home / FILE_NAME
    content = bytearray(path.read_bytes())
    content[8192 : 8192 * 2] = b"\xff" * 8192
    path.write_bytes(content)
    second = start()
    _, stderr = second.process.communicate(timeout=20)
    assert second.process.returncode == Exit.DATABASE_DAMAGED
    assert "damaged" in stderr


def test_when_the_store_fails_the_daemon_ends_with_its_code(start: Start) -> None:
    daemon = start().ready()
    run = daemon.begin(rate=100.0)
    until(lambda: len(stored_events(daemon.home, run)) > 10)
    with closing(sqlite3.connect(daemon.home / FILE_NAME, timeout=30)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DROP TABLE events")
    assert daemon.process.wait(20) == Exit.STORE_FAILED


def test_systemd_hears_that_it_is_ready_lives_and_stops(start: Start, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(10)
        daemon = start(environ={"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "200000"})
        assert manager.recv(100) == b"READY=1"
        assert [manager.recv(100) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        daemon.end()
        heard = [manager.recv(100)]
        while heard[-1] != b"STOPPING=1":
            heard.append(manager.recv(100))


def test_a_runtime_folder_of_somebody_else_is_refused(start: Start, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "home" / "run").symlink_to(tmp_path / "elsewhere")
    daemon = start()
    _, stderr = daemon.process.communicate(timeout=20)
    assert daemon.process.returncode == Exit.STORE_FAILED
    assert "is not a folder of ours" in stderr
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_with_sixty_four_files_it_serves_and_keeps_some_for_the_store(start: Start) -> None:
    daemon = start(files=64).ready()
    run = daemon.begin(rate=200.0)
    with ExitStack() as stack:
        for _ in range(30):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX))
            sock.connect(str(daemon.socket))
        committed = len(stored_events(daemon.home, run))
        until(lambda: len(stored_events(daemon.home, run)) > committed + 50)
    until(lambda: _probe(daemon.socket).startswith(b"HTTP/1.1 200"))
