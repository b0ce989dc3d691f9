"""A daemon in the background: start one and wait until it can be reached; end one and wait until it is gone.

wait      for                               ends with
--------  --------------------------------  --------------------------------------------
`launch`  the announcement of the daemon    it; the death of the process; `LAUNCH_S`
`end`     the end of the process            it; `END_S`
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from altlas_agent.core.errors import AltlasError, DeadlineExceeded, RunFailedError
from altlas_agent.daemon.api.client import Client, error_of
from altlas_agent.daemon.api.site import Applied
from altlas_agent.daemon.home import prepare_home
from altlas_agent.daemon.service import discovery

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from altlas_agent.daemon.service.discovery import Announced

LAUNCH_S = 60.0
"""A big database of an older AltLAS is migrated first."""

END_S = 10.0
LOOK_S = 0.02


class _Told(msgspec.Struct):
    kind: str
    message: str


class _Failure(msgspec.Struct):
    error: _Told


def launch(home: Path, options: Sequence[str]) -> Announced:
    """Start a daemon in a session of its own. Raises what it failed with, for example HomeBusyError."""
    prepare_home(home)
    log_folder = home / "log"
    log_folder.mkdir(mode=0o700, exist_ok=True)
    words = [sys.executable, "-m", "altlas_agent", "daemon", "start", "--foreground", "--quiet", "--json"]
    with tempfile.TemporaryFile() as said, (log_folder / "daemon.err").open("wb") as errors:
        child = subprocess.Popen(
            [*words, "--home", str(home), *options],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=errors,
            start_new_session=True,
        )
        deadline = time.monotonic() + LAUNCH_S
        while time.monotonic() < deadline:
            announced = discovery.find(home)
            if announced is not None and announced.pid == child.pid:
                return announced
            if child.poll() is not None:
                raise _failure(said, child.returncode, log_folder)
            time.sleep(LOOK_S)
        child.kill()
        child.wait()
    raise DeadlineExceeded("the daemon", "the request to start", LAUNCH_S)


def end(home: Path, *, in_haste: bool) -> int:
    """End the daemon of a home; gives its process, or 0 where there is none. Raises DeadlineExceeded."""
    announced = discovery.find(home)
    if announced is None:
        return 0
    try:
        Client(announced).post(f"/v1/shutdown?drain={int(not in_haste)}", Applied, timeout_s=2.0)
    except AltlasError:  # it does not answer: it may still hear a signal
        with suppress(ProcessLookupError):
            os.kill(announced.pid, signal.SIGTERM)
    deadline = time.monotonic() + END_S
    while announced.is_alive:
        if time.monotonic() > deadline:
            raise DeadlineExceeded(f"process {announced.pid}", "the request to stop", END_S)
        time.sleep(LOOK_S)
    return announced.pid


def _failure(said: BinaryIO, code: int, log_folder: Path) -> AltlasError:
    said.seek(0)
    lines = said.read().splitlines()
    try:
        told = msgspec.json.decode(lines[-1] if lines else b"", type=_Failure).error
    except msgspec.DecodeError:
        return RunFailedError(f"the daemon ended with code {code}; see {log_folder / 'daemon.err'}")
    return error_of(told.kind, told.message)
