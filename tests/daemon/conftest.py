"""Whole daemons of scripted runs, in processes of their own."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from altlas_agent.daemon.api.client import Client, connect
from altlas_agent.daemon.api.site import Begun
from altlas_agent.daemon.service import discovery
from storage.database import FILE_NAME, open_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 30.0


class Daemon:
    """One daemon: its process, its home, and a client."""

    def __init__(
        self, home: Path, *settings: str, environ: dict[str, str] | None = None, files: int = 0
    ) -> None:
        """`files` is how many it may have open at once; 0: as many as the tests."""
        self.home = home
        kept = {
            name: value for name, value in os.environ.items() if "XDG" not in name and "NOTIFY" not in name
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.daemon.scripted", str(home), *settings],
            cwd=ROOT,
            env={**kept, "PYTHONPATH": str(ROOT), **(environ or {})},
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=partial(resource.setrlimit, resource.RLIMIT_NOFILE, (files, files)) if files else None,
        )

    @property
    def socket(self) -> Path:
        return Path(self.client.announced.socket)

    @property
    def client(self) -> Client:
        return connect(self.home)

    def ready(self) -> Daemon:
        """Wait until it can be reached."""
        until(lambda: (found := discovery.find(self.home)) is not None and found.pid == self.process.pid)
        return self

    def begin(self, **script: object) -> int:
        """A run by its script; gives its number."""
        settings = {f"script.{name}": value for name, value in script.items()}
        body: dict[str, object] = {"suite": "quickstart", "settings": settings}
        return self.client.post("/v1/runs", Begun, body).run.id

    def end(self, number: int = signal.SIGTERM) -> tuple[int, float]:
        """Send a signal; gives the exit code and how many seconds that took."""
        began = time.monotonic()
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        return code, time.monotonic() - began


def until(holds: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """Wait for something to come true."""
    give_up_at = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < give_up_at, "it did not come true"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: making one takes as long as a whole test."""
    path = tmp_path_factory.mktemp("empty") / FILE_NAME
    open_writer(path).close()
    return path


@pytest.fixture
def start(tmp_path: Path, empty_database: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts daemons of the home `tmp_path / "home"`; at the end those that are left are killed."""
    started: list[Daemon] = []

    def start_daemon(*settings: str, environ: dict[str, str] | None = None, files: int = 0) -> Daemon:
        if not (tmp_path / "home" / FILE_NAME).exists():
            (tmp_path / "home").mkdir(mode=0o700, exist_ok=True)
            shutil.copy(empty_database, tmp_path / "home")
        started.append(Daemon(tmp_path / "home", *settings, environ=environ, files=files))
        return started[-1]

    yield start_daemon
    for daemon in started:
        daemon.process.kill()
        daemon.process.communicate(timeout=PATIENCE_S)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, empty_database: Path) -> Iterator[Daemon]:
    """One daemon for all tests of a module; they leave it as it was, but for runs of their own."""
    home = tmp_path_factory.mktemp("daemon")
    shutil.copy(empty_database, home)
    started = Daemon(home, "max_connections=24").ready()
    yield started
    started.process.kill()
    started.process.communicate(timeout=PATIENCE_S)
