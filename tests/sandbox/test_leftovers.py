"""What a killed worker leaves is ended by the next one, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from altlas_agent.sandbox.walls.leftovers import end_leftovers, owned

if TYPE_CHECKING:
    from collections.abc import Callable, Generator


OWNER = "from altlas_agent.sandbox.walls.leftovers import owned; print(*owned().values())"


@pytest.fixture
def start() -> Generator[Callable[[dict[str, str]], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def sleeper(environment: dict[str, str]) -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen(["/bin/sleep", "60"], env=environment))
        return started[-1]

    yield sleeper
    for process in started:
        process.kill()
        process.wait()


def mark_of_a_dead_owner() -> dict[str, str]:
    said = subprocess.run([sys.executable, "-c", OWNER], capture_output=True, text=True, check=True).stdout
    return dict.fromkeys(owned(), said.strip())


def test_the_jail_of_a_dead_worker_is_ended(
    start: Callable[[dict[str, str]], subprocess.Popen[bytes]],
) -> None:
    left = start(mark_of_a_dead_owner())
    assert end_leftovers() >= 1
    assert left.wait(10) == -9


def test_the_jails_of_the_living_and_processes_without_a_mark_go_on(
    start: Callable[[dict[str, str]], subprocess.Popen[bytes]],
) -> None:
    ours, unmarked = start(owned()), start({"PATH": "/usr/bin"})
    end_leftovers()
    assert (ours.poll(), unmarked.poll()) == (None, None)


def test_a_pid_of_another_namespace_means_nobody_here(
    start: Callable[[dict[str, str]], subprocess.Popen[bytes]],
) -> None:
    ((name, mark),) = mark_of_a_dead_owner().items()
    elsewhere = start({name: mark.rpartition(":")[0] + ":1"})
    end_leftovers()
    assert elsewhere.poll() is None


def test_a_pid_that_was_given_again_is_no_owner(
    start: Callable[[dict[str, str]], subprocess.Popen[bytes]],
) -> None:
    ((name, mark),) = owned().items()
    pid, _, namespace = mark.split(":")
    assert int(pid) == os.getpid()
    reused = start({name: f"{pid}:1:{namespace}"})
    assert end_leftovers() >= 1
    assert reused.wait(10) == -9
