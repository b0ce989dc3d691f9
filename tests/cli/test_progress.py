"""The gauge of a run: in a terminal one line that never wraps, elsewhere plain lines."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from typing import TYPE_CHECKING

import pytest

from altlas_agent.cli.progress import RunProgress
from altlas_agent.core.events import Progress
from tests.cli.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

SCRIPT = """
import logging
import anyio
from altlas_agent.cli.progress import RunProgress
from altlas_agent.core import log
from altlas_agent.core.bus.bus import Bus
from altlas_agent.core.clock import SystemClock
from altlas_agent.core.events import Note, Progress, RungChanged, TaskSolved, WorkerLost
from altlas_agent.core.requests import RungChange

async def main():
    log.set_up("info", None)
    bus = Bus(1, SystemClock())
    progress = RunProgress(tasks=12, limit_s=0, max_attempts=1856967)
    gauge = Progress(attempts=1234567, solved=3, best_score=0.875, attempts_per_s=1234)
    async with anyio.create_task_group() as tasks:
        await tasks.start(progress.follow, bus)
        await bus.publish(gauge)
        await bus.publish(TaskSolved(task_key="t/add", attempt_number=9, code="print(8)"))
        await bus.publish(gauge)
        await anyio.sleep(0.05)
        logging.getLogger("x").warning("something is odd")
        await bus.publish(WorkerLost(worker="worker-0", detail="worker-0 died: killed\\nlast \\x1b[31m words"))
        change = RungChange(language="python", before="top", after="low", layers=(), why="no \\x1b[31m jail")
        await bus.publish(RungChanged(worker="worker-1", change=change))
        await bus.publish(Note(level="info", text="stopping \\x1b]0;owned\\x07"))
        bus.close()
    progress.close()
    print("the end", flush=True)

anyio.run(main)
"""


def watched(surroundings: Mapping[str, str], *, columns: int, **environ: str) -> str:
    """What the script writes on a terminal of this width."""
    terminal, side = pty.openpty()
    fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    env = {**surroundings, "PYTHONPATH": str(ROOT), "TERM": "xterm", **environ}
    with subprocess.Popen([sys.executable, "-c", SCRIPT], env=env, stdout=side, stderr=side) as process:
        os.close(side)
        written = b""
        while chunk := _read(terminal):
            written += chunk
    os.close(terminal)
    assert process.returncode == 0, written
    return written.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the other side is closed
        return b""


def on_screen(written: str) -> list[str]:
    """The lines as they stand in the end: a cleared line is gone."""
    lines = re.sub(r"[^\n]*\r\x1b\[2K", "", written).split("\n")
    return [re.sub(r"\x1b\[[\d;?]*[a-z]", "", line) for line in lines]


@pytest.mark.parametrize("columns", [20, 40, 80])
def test_the_gauge_is_cut_to_the_terminal(surroundings: Mapping[str, str], columns: int) -> None:
    written = watched(surroundings, columns=columns)
    gauges = re.findall(r"attempts 1[^\n\r]*", written)
    full = "attempts 1234567 | solved 3/12 | best score 0.875 | 1234 attempts/s | 8 min 24 s left"
    assert gauges
    assert set(gauges) == {full[: columns - 1]}


def test_lines_take_the_place_of_the_gauge(surroundings: Mapping[str, str]) -> None:
    solved, logged, lost, changed, note, end, *rest = on_screen(watched(surroundings, columns=80))
    assert solved == "solved t/add at attempt 9"
    assert logged.rstrip().endswith("something is odd")
    assert "attempts" not in logged
    assert lost == "worker-0 died: killed; it is replaced"
    assert changed == r"worker-1: python programs run on rung low instead of top: no \x1b[31m jail"
    assert note == r"stopping \x1b]0;owned\x07"
    assert (end, rest) == ("the end", [""])


def test_a_terminal_that_cannot_move_its_cursor_gets_plain_lines(surroundings: Mapping[str, str]) -> None:
    assert "\x1b" not in watched(surroundings, columns=80, TERM="dumb", NO_COLOR="1")


def test_the_time_left_is_that_of_the_nearest_limit() -> None:
    for limit_s, left in ((3600, "30 s left"), (0.001, "0 s left")):
        progress = RunProgress(tasks=2, limit_s=limit_s, max_attempts=100)
        progress._show(Progress(attempts=40, solved=1, best_score=1.0, attempts_per_s=2.0))
        assert progress.summary() == f"attempts 40 | solved 1/2 | best score 1.000 | 2 attempts/s | {left}"


def test_without_limits_nothing_is_said_about_the_time_left() -> None:
    progress = RunProgress(tasks=2, limit_s=0, max_attempts=0)
    assert progress.summary() == "attempts 0 | solved 0/2 | best score - | 0 attempts/s"
