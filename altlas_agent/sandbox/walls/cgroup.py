"""A control group per slot: the kernel's own limit on the memory and the processes of a whole jail.

Version 1 has a tree per controller, version 2 one tree. Which one can be used is found by writing, never by
looking: mounted and readable groups are often read-only. A group is named by the process that made it,
so that what a dead worker left can be told and removed.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from altlas_agent.core.errors import SandboxError
from altlas_agent.sandbox.walls.processes import start_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

LAYER = "cgroup"

_NAME = "altlas-{pid}-{start}-{number}"
_OURS = re.compile(r"altlas-(\d+)-(\d+)-\d+")
_CONTROLLERS = ("memory", "pids", "cpuacct")
_GONE_WITHIN_S = 2.0
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Files:
    """Where a version keeps what we need, relative to the group of the controller before the slash."""

    memory_limit: tuple[tuple[str, int], ...]
    """Files to write in order, and what is added to the limit in megabytes; -1 writes a zero."""
    processes: str
    peak: str
    events: str
    cpu: str
    nanoseconds: int
    """How many of the unit of `cpu` make a second, in nanoseconds per unit."""


_V1 = Files(
    (("memory/memory.limit_in_bytes", 0), ("memory/memory.memsw.limit_in_bytes", 0)),
    "pids/pids.max",
    "memory/memory.max_usage_in_bytes",
    "memory/memory.oom_control",
    "cpuacct/cpuacct.usage",
    1,
)
_V2 = Files(
    (("/memory.max", 0), ("/memory.swap.max", -1)),
    "/pids.max",
    "/memory.peak",
    "/memory.events",
    "/cpu.stat",
    1000,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What the group as a whole used since it was last asked."""

    cpu_s: float
    peak_bytes: int
    oom_kills: int


class Cgroup:
    """One group (in version 1, one per controller); limits hold for memory and swap together."""

    def __init__(self, folders: dict[str, Path], files: Files) -> None:
        self._folders, self._files = folders, files
        self._opened: dict[str, int] = {}
        self._memory_bytes = self._processes = self._kills = 0
        self._cpu_ns = 0
        self._resettable = True

    @classmethod
    def make(cls) -> Cgroup:
        """A group below the one that we are in. Raises SandboxError where that is not allowed."""
        reasons: list[str] = []
        for folders, files in _places():
            made = cls(folders, files)
            try:
                made._make()
            except OSError as error:
                made.close()
                reasons.append(f"{next(iter(folders.values()))}: {error.strerror}")
                continue
            return made
        raise SandboxError(f"no control group can be made ({'; '.join(reasons) or 'none is mounted'})")

    def _make(self) -> None:
        _remove_all_stale()
        for folder in set(self._folders.values()):
            folder.mkdir()
        self.limit(1 << 30, 64)
        self.account()

    def join_files(self) -> list[int]:
        """Open files; a process that writes 0 into each becomes a member, with all that it starts."""
        return [
            os.open(folder / "cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)
            for folder in set(self._folders.values())
        ]

    def limit(self, memory_bytes: int, processes: int) -> None:
        """Raises OSError when the kernel refuses. Writes only what changes."""
        if memory_bytes != self._memory_bytes:
            writes = [(name, 0 if extra < 0 else memory_bytes) for name, extra in self._files.memory_limit]
            # Memory alone may never exceed memory and swap together: lower the one first, or raise the other.
            for name, value in writes if memory_bytes < (self._memory_bytes or 1 << 62) else writes[::-1]:
                self._write(name, value)
            self._memory_bytes = memory_bytes
        if processes != self._processes:
            self._write(self._files.processes, processes)
            self._processes = processes

    @property
    def tells_peaks(self) -> bool:
        """Whether an account holds the peak since the last one, or, on an older kernel, none."""
        return self._resettable

    def usage_bytes(self) -> int:
        """What the group holds now."""
        name = "memory.usage_in_bytes" if "memory" in self._folders else "memory.current"
        return int((next(iter(self._folders.values())) / name).read_text())

    def account(self) -> Account:
        """What was used since the last call; the peak starts anew."""
        cpu_ns = _number(self._read(self._files.cpu), b"usage_usec") * self._files.nanoseconds
        kills = _number(self._read(self._files.events), b"oom_kill")
        peak_bytes = self._peak_bytes()
        used = Account(
            cpu_s=(cpu_ns - self._cpu_ns) / 1e9, peak_bytes=peak_bytes, oom_kills=kills - self._kills
        )
        self._cpu_ns, self._kills = cpu_ns, kills
        return used

    def is_empty(self) -> bool:
        """Whether no process is a member."""
        return not any((folder / "cgroup.procs").read_bytes() for folder in set(self._folders.values()))

    def has_killed(self) -> bool:
        """Whether the kernel ended something for want of memory since the last account."""
        return _number(self._read(self._files.events), b"oom_kill") > self._kills

    def close(self) -> None:
        """Kill what is still in the group and remove it, and once more what dead workers left.

        Where we took the place of one that was killed, its last processes may have been ending still.
        """
        for fd in self._opened.values():
            os.close(fd)
        self._opened.clear()
        for folder in set(self._folders.values()):
            _remove(folder)
        _remove_all_stale()

    def _peak_bytes(self) -> int:
        if not self._resettable:
            return 0
        try:
            peak = int(self._read(self._files.peak))
            os.pwrite(self._open(self._files.peak), b"0", 0)
        except OSError:
            self._resettable = False  # an older kernel of version 2: the peak is that of the slot's life
            return 0
        return peak

    def _open(self, name: str) -> int:
        if name not in self._opened:
            controller, _, file = name.partition("/")
            self._opened[name] = os.open(self._folders[controller] / file, os.O_RDWR | os.O_CLOEXEC)
        return self._opened[name]

    def _read(self, name: str) -> bytes:
        return os.pread(self._open(name), 4096, 0)

    def _write(self, name: str, value: int) -> None:
        controller, _, file = name.partition("/")
        path = self._folders[controller] / file
        if "swap" in file or "memsw" in file:
            if path.exists():
                path.write_text(f"{value}")
            elif _has_swap():
                raise OSError(0, "swap cannot be limited, which makes a limit on memory void")
            return
        path.write_text(f"{value}")


def _number(text: bytes, key: bytes) -> int:
    """A lone number, or the one behind a key."""
    if text.strip().isdigit():
        return int(text)
    found = re.search(rb"^" + key + rb" (\d+)$", text, re.MULTILINE)
    return int(found[1]) if found else 0


def _has_swap() -> bool:
    return len(Path("/proc/swaps").read_text(encoding="utf-8").splitlines()) > 1


def _places() -> Iterator[tuple[dict[str, Path], Files]]:
    """Where a group might be made: all of version 1, else below or beside our own group of version 2."""
    name = _NAME.format(pid=os.getpid(), start=start_of(os.getpid()), number=next(_numbers))
    mounts, ours = _mounts(), _our_groups()
    if all(controller in mounts for controller in _CONTROLLERS):
        yield {each: mounts[each] / ours.get(each, "").strip("/") / name for each in _CONTROLLERS}, _V1
    if "" in mounts:
        own = mounts[""] / ours.get("", "").strip("/")
        for parent in dict.fromkeys((own, own.parent, mounts[""])):
            if parent.is_relative_to(mounts[""]):
                with suppress(OSError):
                    (parent / "cgroup.subtree_control").write_text("+memory +pids")
                yield {"": parent / name}, _V2


def _mounts() -> dict[str, Path]:
    """Controller -> mount point; "" is version 2."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = [*right.split(" ", 2), "", ""][:3]
        if kind == "cgroup2":
            found.setdefault("", Path(left.split()[4]))
        elif kind == "cgroup":
            found.update(dict.fromkeys(options.split(","), Path(left.split()[4])))
    return found


def _our_groups() -> dict[str, str]:
    found: dict[str, str] = {}
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines():
        _, controllers, path = line.split(":", 2)
        found.update(dict.fromkeys(controllers.split(","), path))
    return found


def remove_left_by(pids: Collection[int]) -> None:
    """Remove the groups of these processes, which have ended, when all in them have ended as well.

    What was killed with them may still be ending: that is waited for, but not for ever. It never raises.
    """
    deadline = time.monotonic() + _GONE_WITHIN_S
    while _remove_all_stale(of=pids) and time.monotonic() < deadline:
        time.sleep(0.02)


def _remove_all_stale(*, of: Collection[int] = ()) -> int:
    """How many there are left of the processes `of`."""
    return sum(_remove_stale(mount, of) for mount in set(_mounts().values()))


def _remove_stale(mount: Path, of: Collection[int]) -> int:
    """Empty groups of workers that are no more; one that holds processes is somebody's, whatever its name says."""
    left = 0
    for folder, names, _ in os.walk(mount):  # which goes on where another worker removes a group meanwhile
        for found in filter(None, map(_OURS.fullmatch, names)):
            pid, start = map(int, found.groups())
            if start_of(pid) != start:
                try:
                    Path(folder, found[0]).rmdir()
                except OSError as error:
                    left += pid in of and error.errno != errno.ENOENT
    return left


def _remove(folder: Path) -> None:
    deadline = time.monotonic() + _GONE_WITHIN_S
    while folder.exists() and time.monotonic() < deadline:
        with suppress(OSError):
            for pid in map(int, (folder / "cgroup.procs").read_text().split()):
                with suppress(ProcessLookupError):
                    if (
                        pid > 0
                    ):  # 0 is a process that we cannot see, and to kill it would be to kill ourselves
                        os.kill(pid, signal.SIGKILL)
            folder.rmdir()
            return
        time.sleep(0.005)
