"""A blocked loop is noticed from outside it, named, and told while it is blocked and once more afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import anyio
import pytest

from altlas_agent.core.bus.packing import pack
from altlas_agent.daemon.watchdog import NOBODY, Watchdog

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.core.events import LoopBlocked

LIMIT_S = 0.3


class Ears:
    """What was reported, on which thread, and after how long."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.heard: list[tuple[float, int, LoopBlocked]] = []

    def __call__(self, event: LoopBlocked) -> None:
        self.heard.append((time.monotonic() - self.began, threading.get_ident(), event))


async def watched(block: Callable[[], None], *, limit_s: float = LIMIT_S) -> tuple[Ears, Watchdog]:
    """Let `block` hold up the loop once."""
    ears = Ears()
    watchdog = Watchdog(ears, limit_s=limit_s)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watchdog.run, name="watchdog")
        tasks.start_soon(a_bystander, name="bystander")
        await anyio.sleep(0.15)
        ears.began = time.monotonic()
        block()
        await anyio.sleep(0.25)
        tasks.cancel_scope.cancel()
    return ears, watchdog


def a_slow_handler() -> None:
    time.sleep(2.0)


async def a_bystander() -> None:
    await anyio.sleep_forever()


async def test_a_blocked_loop_is_reported_by_the_thread_while_it_is_blocked_and_by_the_loop_when_it_is_over() -> (
    None
):
    ears, watchdog = await watched(a_slow_handler)
    [(early_s, thread, first), (late_s, loop, last)] = ears.heard
    assert early_s < 1.9 < late_s
    assert thread != loop == threading.get_ident()
    assert (first.is_over, last.is_over) == (False, True)
    assert "a_slow_handler (tests.daemon.test_watchdog" in first.handler
    assert last.handler == first.handler
    assert first.blocked_s < 1.9 < last.blocked_s
    assert any("a_slow_handler" in line for line in first.stack)
    pack(first)  # it fits into an event
    assert watchdog.lag.times_blocked == 1
    assert watchdog.lag.worst_s > 1.5


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_on_asyncio_the_task_at_work_and_those_that_wait_are_named() -> None:
    ears, _ = await watched(a_slow_handler)
    event = ears.heard[0][2]
    assert ": a_slow_handler" in event.handler
    assert any(line.startswith("bystander: a_bystander (tests.daemon") for line in event.tasks)


async def test_a_loop_that_turns_over_is_live_and_not_reported() -> None:
    ears, watchdog = await watched(lambda: time.sleep(0.05), limit_s=2.0)
    assert ears.heard == []
    assert watchdog.is_live
    assert watchdog.lag.times_blocked == 0
    assert 0 <= watchdog.lag.last_s <= watchdog.lag.worst_s


async def test_after_it_has_ended_the_thread_is_gone() -> None:
    before = threading.active_count()
    for _ in range(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(Watchdog(Ears()).run)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
    assert threading.active_count() == before


_STOPPED = """
import anyio, sys, time
from altlas_agent.daemon.watchdog import Watchdog
async def main():
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(Watchdog(lambda e: print(e.is_over, e.handler, flush=True), limit_s=0.5).run)
        await anyio.sleep(0.3)
        print("ready", flush=True)
        await anyio.to_thread.run_sync(sys.stdin.readline)
        tasks.cancel_scope.cancel()
anyio.run(main)
"""


def test_of_a_process_that_was_stopped_as_a_whole_nobody_is_accused() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _STOPPED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "ready\n"
        os.kill(process.pid, signal.SIGSTOP)
        time.sleep(2.0)
        os.kill(process.pid, signal.SIGCONT)
        assert process.stdout.readline() == f"True {NOBODY}\n"
        process.stdin.write("\n")
        process.stdin.close()
        assert process.stdout.read() == ""
