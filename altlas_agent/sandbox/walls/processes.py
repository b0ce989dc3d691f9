"""Processes as the kernel shows them: what they use, who descends from whom, and what is left over.

Where no namespace ends a program's descendants, they are found because this process is the reaper of all
that it started: whoever loses its parent becomes our child, also after setsid and a double fork.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

MEBIBYTE = 1024 * 1024
_CHILD_SUBREAPER = 36
_SWEEP_S = 3.0
_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What processes used that have been reaped."""

    cpu_s: float = 0.0
    max_rss_mb: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(cpu_s=self.cpu_s + other.cpu_s, max_rss_mb=max(self.max_rss_mb, other.max_rss_mb))


def become_reaper() -> None:
    """Orphans below this process become its children."""
    _libc.prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap(pid: int) -> tuple[int, Usage]:
    """Wait for the end of a child; its wait status and what it used. Status 0 when it was no child of ours."""
    try:
        _, status, used = os.wait4(pid, 0)
    except ChildProcessError:
        return 0, Usage()
    return status, Usage(cpu_s=used.ru_utime + used.ru_stime, max_rss_mb=used.ru_maxrss / 1024)


def usage_of_trees(roots: list[int]) -> Usage:
    """What these and all below them use at this moment; `max_rss_mb` is the sum without shared pages."""
    total, waiting = Usage(), list(roots)
    while waiting:
        pid = waiting.pop()
        with suppress(FileNotFoundError, ProcessLookupError):
            now = _usage_of(pid)
            total = Usage(cpu_s=total.cpu_s + now.cpu_s, max_rss_mb=total.max_rss_mb + now.max_rss_mb)
            waiting += children(pid)
    return total


def children(pid: int) -> list[int]:
    """Raises FileNotFoundError or ProcessLookupError when the process is gone."""
    tasks = [f"/proc/{pid}/task/{task}/children" for task in os.listdir(f"/proc/{pid}/task")]
    return [int(child) for path in tasks for child in Path(path).read_bytes().split()]


def tasks_of(uid: int) -> int:
    """How many threads a user has, which is what the kernel's limit of processes counts."""
    count = 0
    for pid in os.listdir("/proc"):
        with suppress(OSError):
            if pid.isdigit() and os.stat(f"/proc/{pid}").st_uid == uid:
                count += len(os.listdir(f"/proc/{pid}/task"))
    return count


class Strays:
    """Children that came to us after a moment and that nobody here started: orphans of the program."""

    def __init__(self, started: set[int]) -> None:
        """`started` holds, also later, every child that is known."""
        self._started = started
        self._before = set(children(os.getpid()))

    def found(self) -> list[int]:
        return [pid for pid in children(os.getpid()) if pid not in self._before | self._started]

    def end(self) -> Usage:
        """Kill and reap them, and theirs, until none comes any more."""
        used, deadline = Usage(), time.monotonic() + _SWEEP_S
        while (found := self.found()) and time.monotonic() < deadline:
            for pid in found:
                _kill_tree(pid)
            for pid in found:
                used += reap(pid)[1]
        return used


def _kill_tree(pid: int) -> None:
    below: list[int] = []
    with suppress(OSError):
        # It may be forking right now: what it can no longer start need not be found.
        resource.prlimit(pid, resource.RLIMIT_NPROC, (0, 0))
        below = children(pid)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    for child in below:
        _kill_tree(child)


def _usage_of(pid: int) -> Usage:
    pages = Path(f"/proc/{pid}/statm").read_bytes().split()
    # After the name in brackets, which a program chooses: user, system, and both of reaped children.
    ticks = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()[11:15]
    private = (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")
    return Usage(cpu_s=sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK"), max_rss_mb=private / MEBIBYTE)
