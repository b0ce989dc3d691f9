"""Runs that a daemon carries, started, rested, steered and ended as users do it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import Exit
from altlas_agent.daemon.service import discovery
from tests.cli.conftest import start, surroundings
from tests.flows.conftest import TINY, finish, rows, suite

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterator, Mapping

    Altlas = Callable[..., subprocess.CompletedProcess[str]]

__all__ = ["start", "suite", "surroundings"]

pytestmark = pytest.mark.timeout(180)

ENDLESS = "--set=run.stop_when_solved=false"


@pytest.fixture
def home(surroundings: Mapping[str, str]) -> Iterator[Path]:
    """The home that the commands use; a daemon that a test leaves there is ended."""
    folder = Path(surroundings["ALTLAS_HOME"])
    yield folder
    if (found := discovery.find(folder)) is not None:
        os.kill(found.pid, signal.SIGKILL)


@pytest.fixture
def altlas(start: Callable[..., subprocess.Popen[str]]) -> Altlas:
    """Runs `altlas WORDS...` to its end, which may be a while where workers and a student have to start."""

    def run_altlas(*words: str) -> subprocess.CompletedProcess[str]:
        ended = finish(start(*words))
        return CompletedProcess(words, ended.code, ended.stdout, ended.stderr)

    return run_altlas


@pytest.fixture
def detached(altlas: Altlas, home: Path, suite: Path) -> str:
    """A run that a daemon carries."""
    started = altlas("run", "start", str(suite), *TINY, ENDLESS, "--detach", "--json")
    assert started.returncode == Exit.DONE, started.stderr
    launch = json.loads(started.stdout)["launch"]
    assert launch["run"] == "r1"
    assert (home / "altlas.db").exists()
    return "r1"


def attempts(home: Path) -> int:
    ((count,),) = rows(home, "SELECT count(*) FROM attempts WHERE run_id = 1")
    return int(str(count))


def wait_for_attempts(home: Path, count: int) -> None:
    until = time.monotonic() + 60
    while attempts(home) < count:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_detached_run_is_rested_saved_steered_and_goes_on(
    altlas: Altlas, home: Path, detached: str
) -> None:
    wait_for_attempts(home, 24)
    assert altlas("run", "pause", detached).stdout == "r1 rests after its step\n"
    assert altlas("run", "pause").stdout == "r1 does so already\n"
    saved = altlas("run", "checkpoint")
    assert Path(saved.stdout.strip()).exists()
    rested = attempts(home)
    steered = altlas("run", "steer", detached, "learning.learning_rate=0.001")
    assert "learning.learning_rate was 0.002, is 0.001" in steered.stdout
    refused = altlas("run", "steer", detached, "tasks.group_size=3")
    assert refused.returncode == Exit.SETTINGS_REFUSED
    assert "cannot change while a run goes on" in refused.stderr
    assert attempts(home) == rested
    assert altlas("run", "resume").stdout == "r1 goes on\n"
    wait_for_attempts(home, rested + 24)
    assert altlas("daemon", "stop").returncode == Exit.DONE
    told = rows(home, "SELECT type FROM events WHERE run_id = 1 AND type LIKE 'Run%' ORDER BY seq")
    assert told[:3] == [("RunStarted",), ("RunPaused",), ("RunContinued",)]


def test_a_stopped_run_goes_on_in_the_daemon_and_is_followed(
    altlas: Altlas, start: Callable[..., subprocess.Popen[str]], home: Path, detached: str
) -> None:
    wait_for_attempts(home, 24)
    follower = start("run", "attach", detached)
    time.sleep(1.0)
    assert altlas("run", "stop").stdout == "r1 ends after its step\n"
    said, _ = follower.communicate(timeout=60)
    assert follower.returncode == Exit.INTERRUPTED
    assert "r1 interrupted: stopped by hand" in said
    reached = attempts(home)
    assert altlas("run", "resume", detached).returncode == Exit.DONE
    wait_for_attempts(home, reached + 24)
    numbers = rows(home, "SELECT number FROM attempts WHERE run_id = 1 ORDER BY number")
    assert numbers == [(n,) for n in range(1, len(numbers) + 1)]


def test_a_run_in_front_is_refused_where_a_daemon_holds_the_home(
    altlas: Altlas, home: Path, detached: str, suite: Path
) -> None:
    assert detached == "r1"
    refused = altlas("run", "start", str(suite), *TINY)
    assert refused.returncode == Exit.HOME_BUSY
    assert "--detach" in refused.stderr
    assert rows(home, "SELECT count(*) FROM runs WHERE id > 0") == [(1,)]


def test_without_a_daemon_there_is_nothing_to_ask(altlas: Altlas, home: Path) -> None:
    for words in (("stop",), ("pause",), ("checkpoint",), ("attach",), ("steer", "r1", "run.max_attempts=5")):
        refused = altlas("run", *words)
        assert refused.returncode == Exit.SERVICE_MISSING
        assert "no daemon serves the home" in refused.stderr
    assert not (home / "altlas.db").exists()
