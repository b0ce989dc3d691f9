"""systemd hears words on its socket, whatever its name; nobody else is in the way."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest

from altlas_agent.daemon.service.notify import READY, STOPPING, Notifier

if TYPE_CHECKING:
    from pathlib import Path


def test_words_reach_a_socket_with_a_path(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}).say(READY, "STATUS=well")
        assert manager.recv(100) == b"READY=1\nSTATUS=well"


def test_words_reach_an_abstract_socket() -> None:
    name = f"altlas-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name)
        Notifier({"NOTIFY_SOCKET": f"@{name}"}).say(STOPPING)
        assert manager.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("where", ["", "relative", "/not/there", "/"])
def test_where_nobody_listens_nothing_happens(where: str) -> None:
    Notifier({"NOTIFY_SOCKET": where}).say(READY)


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "often"}, 0.0),
        ({"WATCHDOG_USEC": "-5"}, 0.0),
    ],
)
def test_the_watchdog_is_asked_for_in_microseconds_and_of_one_process(
    environ: dict[str, str], seconds: float
) -> None:
    assert Notifier(environ).watchdog_s == seconds
