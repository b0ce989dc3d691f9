"""In reach of a tested process only: kills it, or its parent, at a named place of its work, once.

`CRASH_TEST_AIM` is `place:count:victim:delay_us:signal:mark`: who kills itself (or its `parent`) so long after it
came to this place so many times, and the file that tells that it was done. Places of the process that writes:
`commit`, `wal_checkpoint`, `migration` (a statement of one), `clock` (no kill: from then on the wall clock jumps
about), `tasks` (no kill: the mark tells how many tasks there are, each second). Places of the student: `written` (a checkpoint, not yet under its name), `renamed`.
"""

from __future__ import annotations

import itertools
import os
import signal
import sqlite3
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from os import PathLike

AIM_ENV = "CRASH_TEST_AIM"
PLACES = {
    "altlas_agent": ("commit", "wal_checkpoint", "migration", "clock", "tasks"),
    "altlas_agent.learning.service": ("written", "renamed"),
}


class _Aim:
    def __init__(self, text: str) -> None:
        self.place, count, self._victim, delay_us, name, self._mark = text.split(":", 5)
        self._left = int(count)
        self._delay_s = int(delay_us) / 1e6
        self._signal = signal.Signals[name]

    def passed(self) -> None:
        """The process is at the place now."""
        self._left -= 1
        if self._left == 0:
            if self._delay_s:
                threading.Thread(target=self._strike, daemon=True).start()
            else:
                self._strike()

    @property
    def was_done(self) -> bool:
        return os.path.exists(self._mark)

    def _strike(self) -> None:
        time.sleep(self._delay_s)
        with open(self._mark, "x"):
            os.kill(os.getppid() if self._victim == "parent" else os.getpid(), self._signal)
        while self._victim == "parent" and self._signal is signal.SIGKILL:
            time.sleep(1)  # the kernel kills this process as well, or it would go on meanwhile


def _watch_statements(aim: _Aim) -> None:
    connect, migrates = sqlite3.connect, False

    def told(statement: str) -> None:
        nonlocal migrates
        words = statement.lstrip().upper()
        migrates = migrates or "ALEMBIC_VERSION" in words
        if (
            (aim.place == "commit" and words.startswith("COMMIT"))
            or (aim.place == "wal_checkpoint" and words.startswith("PRAGMA WAL_CHECKPOINT"))
            or (aim.place == "migration" and migrates)
        ):
            aim.passed()

    def watched(*words: object, **options: object) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*words, **options)  # type: ignore[call-overload]
        connection.set_trace_callback(told)
        return connection

    sqlite3.connect = watched  # type: ignore[assignment]


def _watch_renames(aim: _Aim) -> None:
    rename: Callable[..., None] = os.replace

    def watched(source: str | PathLike[str], target: str | PathLike[str]) -> None:
        is_checkpoint = os.fspath(target).endswith(".safetensors")
        if is_checkpoint and aim.place == "written":
            aim.passed()
        rename(source, target)
        if is_checkpoint and aim.place == "renamed":
            aim.passed()

    os.replace = watched  # type: ignore[assignment]


def _shake_the_clock(every: int) -> None:
    """Each so many looks at the wall clock it is put back by an hour, forward by a day, or right."""
    jumps, looks = itertools.cycle((-3600, 86400, 0)), itertools.count(1)
    time_ns, offset_s = time.time_ns, 0

    def shaken_ns() -> int:
        nonlocal offset_s
        if next(looks) % every == 0:
            offset_s = next(jumps)
        return time_ns() + offset_s * 10**9

    time.time_ns = shaken_ns
    time.time = lambda: shaken_ns() / 1e9


def _count_tasks(path: str) -> None:
    """Tell how many tasks of the event loop are not done; the loop itself is left alone."""
    import asyncio.tasks

    everything = getattr(asyncio.tasks, "_scheduled_tasks", None) or asyncio.tasks._all_tasks  # type: ignore[attr-defined]

    def count() -> None:
        while True:
            with suppress(RuntimeError), open(path + ".part", "w") as file:  # it changed while it was counted
                file.write(str(sum(not task.done() for task in list(everything))))
            with suppress(OSError):
                os.rename(path + ".part", path)
            time.sleep(1.0)

    threading.Thread(target=count, daemon=True).start()


def _take_aim() -> None:
    text = os.environ.get(AIM_ENV, "")
    words = sys.orig_argv
    module = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    if not text or text.partition(":")[0] not in PLACES.get(module, ()):
        return
    aim = _Aim(text)
    if aim.was_done:
        return
    if aim.place == "tasks":
        _count_tasks(text.split(":", 5)[5])
    elif aim.place == "clock":
        _shake_the_clock(int(text.split(":")[1]))
    elif module == "altlas_agent":
        _watch_statements(aim)
    else:
        _watch_renames(aim)


_take_aim()
