"""How the fork-server looks at a program while it runs: through /proc, which it alone can reach."""

from __future__ import annotations

import mmap
import os
import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from altlas_agent.sandbox.inside.program import Job

TICK_MS = 20


class Look:
    """A descriptor of /proc, taken before it is hidden, and what the fork-server itself weighs."""

    def __init__(self) -> None:
        self.proc = os.open("/proc", os.O_RDONLY | os.O_DIRECTORY)
        self._me = os.readlink("self", dir_fd=self.proc)
        self._own_bytes, _ = self._process(self._me)

    def usage(self) -> tuple[int, float]:
        """Memory beyond the server's own, and CPU seconds, of every process in the jail but the server."""
        memory_bytes, cpu_s = 0, 0.0
        for name in os.listdir(self.proc):
            if name.isdigit() and name not in ("1", self._me):
                memory, cpu = self._process(name)
                memory_bytes += max(0, memory - self._own_bytes)
                cpu_s += cpu
        return memory_bytes, cpu_s

    def read(self, path: str) -> str:
        fd = os.open(path, os.O_RDONLY, dir_fd=self.proc)
        try:
            return os.read(fd, 4096).decode(errors="replace")
        finally:
            os.close(fd)

    def _process(self, pid: str) -> tuple[int, float]:
        try:
            pages = self.read(f"{pid}/statm").split()
            times = self.read(f"{pid}/stat").rpartition(") ")[2].split()[11:15]
        except (FileNotFoundError, ProcessLookupError):
            return 0, 0.0
        private = (int(pages[1]) - int(pages[2])) * mmap.PAGESIZE
        return private, sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def watch(look: Look, pidfd: int, job: Job, began: float) -> tuple[str, float]:
    """Wait for the end of a program; the limit that it broke before that, if any, and the CPU seconds seen."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    deadline, cpu_s = began + job["wall_us"] / 1e6, 0.0
    while not poller.poll(max(0, min(TICK_MS, (deadline - time.monotonic()) * 1000))):
        memory_bytes, cpu_now_s = look.usage()
        cpu_s = max(cpu_s, cpu_now_s)
        if time.monotonic() >= deadline:
            return "wall", cpu_s
        if cpu_s * 1e6 > job["cpu_us"]:
            return "cpu", cpu_s
        if memory_bytes > job["memory_bytes"]:
            return "memory", cpu_s
    return "", cpu_s
