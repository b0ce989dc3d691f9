"""Processes as the kernel shows them: what they use, who descends from whom, and what is left over.

Where no namespace ends a program's descendants, they are found because this process is the reaper of all
that it started: whoever loses its parent becomes our child, also after setsid and a double fork.
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

MEBIBYTE = 1024 * 1024
_CHILD_SUBREAPER = 36
_SWEEP_S = 3.0
_LOG_TAIL_BYTES = 2000
_libc = ctypes.CDLL(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What processes used that have been reaped; `system_s` is the kernel's part of `cpu_s`."""

    cpu_s: float = 0.0
    system_s: float = 0.0
    max_rss_mb: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            cpu_s=self.cpu_s + other.cpu_s,
            system_s=self.system_s + other.system_s,
            max_rss_mb=max(self.max_rss_mb, other.max_rss_mb),
        )


def become_reaper() -> None:
    """Orphans below this process become its children."""
    _libc.prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap(pid: int, *, is_heir: bool = False) -> tuple[int, Usage]:
    """Wait for the end of a child; its wait status and what it used. Status 0 when it was no child of ours.

    An heir, which this process started itself, is said to have had our own memory: such a peak is none.
    """
    try:
        _, status, used = os.wait4(pid, 0)
    except ChildProcessError:
        return 0, Usage()
    cpu_s, peak_kb = used.ru_utime + used.ru_stime, used.ru_maxrss
    if is_heir and peak_kb <= resource.getrusage(resource.RUSAGE_SELF).ru_maxrss:
        peak_kb = 0
    return status, Usage(cpu_s=cpu_s, system_s=used.ru_stime, max_rss_mb=peak_kb / 1024)


def own_time_s(pid: int) -> float:
    """The processor time of one process alone, for bubblewrap's is not the program's; 0 if it is not told."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_bytes().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def usage_of_trees(roots: list[int]) -> Usage:
    """What these and all below them use at this moment; `max_rss_mb` is the sum without shared pages."""
    total, waiting = Usage(), list(roots)
    while waiting:
        pid = waiting.pop()
        with suppress(FileNotFoundError, ProcessLookupError):
            now, rss_mb = _usage_of(pid), total.max_rss_mb
            total = replace(total + now, max_rss_mb=rss_mb + now.max_rss_mb)
            waiting += children(pid)
    return total


def children(pid: int) -> list[int]:
    """Raises FileNotFoundError or ProcessLookupError when the process is gone."""
    tasks = [f"/proc/{pid}/task/{task}/children" for task in os.listdir(f"/proc/{pid}/task")]
    return [int(child) for path in tasks for child in Path(path).read_bytes().split()]


def start_of(pid: int) -> int | None:
    """When a process started, in ticks since boot: with the pid its identity. None for one that is gone.

    One that has ended and only waits to be reaped is gone as well.
    """
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if state in (b"Z", b"X") else int(rest[18])


def spare(pid: int) -> None:
    """For want of memory the kernel ends this process and all below it no sooner than ourselves; only root may."""
    with suppress(PermissionError, FileNotFoundError, ProcessLookupError):
        ours = Path("/proc/self/oom_score_adj").read_bytes()
        Path(f"/proc/{pid}/oom_score_adj").write_bytes(ours)
        for child in children(pid):
            spare(child)


def tasks_of(uid: int) -> int:
    """How many threads a user has, in jails too, which is what the kernel's limit of processes counts."""
    count = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            # What may not be dumped looks as if it were root's.
            shown = os.stat(f"/proc/{pid}").st_uid
            if shown == uid or (shown == 0 and kernel_uid(int(pid)) == uid):
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
    ticks = [*map(int, Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()[11:15])]
    private = (int(pages[1]) - int(pages[2])) * os.sysconf("SC_PAGE_SIZE")
    ticks_per_s = os.sysconf("SC_CLK_TCK")
    system_s = (ticks[1] + ticks[3]) / ticks_per_s
    return Usage(cpu_s=sum(ticks) / ticks_per_s, system_s=system_s, max_rss_mb=private / MEBIBYTE)


def kernel_uid(pid: int) -> int | None:
    """The uid that the kernel has for a process, seen from outside its namespaces; None when it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return None
    uids = re.search(r"^Uid:((?:\s+\d+)+)$", status, re.MULTILINE)
    return min(map(int, uids[1].split())) if uids else None


def log_tail(log: int) -> str:
    """The end of what was written to a log, on one line."""
    size = os.fstat(log).st_size
    raw = os.pread(log, _LOG_TAIL_BYTES, max(0, size - _LOG_TAIL_BYTES))
    return " / ".join(raw.decode(errors="replace").split("\n")).strip(" /")
