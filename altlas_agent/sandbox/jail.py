"""Builds the jail: namespaces, no network, read-only root; starts an engine in it and watches its pid.

Rule 0: bubblewrap is never started as root. A jail that root starts lets the program write the
kernel's settings, whatever flags it gets.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from altlas_agent.core.errors import NoJailError, SandboxError, boundary
from altlas_agent.sandbox import filters
from altlas_agent.sandbox.limits import MEBIBYTE
from altlas_agent.sandbox.walls import landlock
from altlas_agent.sandbox.walls.landlock import Enclosure
from altlas_agent.sandbox.walls.leftovers import owned
from altlas_agent.sandbox.walls.processes import (
    Strays,
    Usage,
    become_reaper,
    kernel_uid,
    log_tail,
    own_time_s,
    reap,
    tasks_of,
    usage_of_trees,
)

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from altlas_agent.sandbox.engines.interpreters import Engine

DEDICATED_UID = 61_000
"""Who programs are when AltLAS runs as root; no distribution gives this number to anyone."""

LAYERS = ("user-ns", "mount-ns", "pid-ns", "net-ns", "ipc-ns", "uts-ns", "no-caps", "no-new-privs", "rlimits")
ENVIRONMENT = {"PATH": "/usr/bin", "LANG": "C.UTF-8", "HOME": "/tmp"}
"""All that a program finds in its environment, but for what its engine needs to be repeatable."""
INSTALL_BUBBLEWRAP = "install it, for example: apt-get install bubblewrap"

_START_TIMEOUT_S = 10.0
_SHM_BYTES = 16 * MEBIBYTE
_started: set[int] = set()
"""The children that we started and have not ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One start of an engine: its command line inside, the files it finds, the streams it gets."""

    engine: Engine
    command: tuple[str, ...]
    files: dict[str, bytes] = field(default_factory=dict[str, bytes])
    filter: bytes = b""
    environment: dict[str, str] = field(default_factory=dict[str, str])
    stdin: int = subprocess.DEVNULL
    stdout: int = subprocess.DEVNULL
    stderr: int
    """Also where bubblewrap says what it could not do."""
    inherit: tuple[int, ...] = ()
    groups: tuple[int, ...] = ()
    """Open files of control groups that it joins, with all that it starts, before it loses root's rights."""
    serves: bool = False
    """Whether it is the fork-server: first process of its jail, with /proc, which it hides itself."""
    leads: bool = False
    """Whether it is the first process of its jail: no program in there can end it."""
    tmp_bytes: int = 32 * MEBIBYTE


class Jailed:
    """The processes of one jail: bubblewrap outside and the first process inside."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        inside: int,
        *,
        strays: Strays | None = None,
        enclosure: Enclosure | None = None,
    ) -> None:
        """Where no namespace ends all that a program started, `strays` finds it."""
        self.inside = inside
        """Pid of the first process inside, as seen from here; equal to the outer one without a jail."""
        self.exit_code: int | None = None
        """How bubblewrap ended: the code of its program, or 128 + the number of a signal."""
        self._process, self._strays, self._enclosure = process, strays, enclosure
        self._outside_pidfd = os.pidfd_open(process.pid)
        self._inside_pidfd = os.pidfd_open(inside)

    def wait(self, timeout_s: float) -> bool:
        """Whether the program has ended within this time; nothing is reaped yet."""
        poller = select.poll()
        poller.register(self._outside_pidfd, select.POLLIN)
        return bool(poller.poll(max(0, round(timeout_s * 1000))))

    def is_running(self) -> bool:
        """Whether neither bubblewrap nor the first process inside has ended."""
        poller = select.poll()
        poller.register(self._outside_pidfd, select.POLLIN)
        poller.register(self._inside_pidfd, select.POLLIN)
        return not poller.poll(0)

    def usage(self) -> Usage:
        """What all processes of the jail use at this moment; `max_rss_mb` without shared pages."""
        strays = self._strays.found() if self._strays else []
        return usage_of_trees([self.inside, *strays])

    def end(self) -> Usage:
        """Kill whatever is left, reap it all and set `exit_code`; call once."""
        if not self.wait(0):
            self._kill(self._inside_pidfd)
            self._kill_group()
        elif self._strays:
            self._kill_group()
        own_s = own_time_s(self._process.pid)
        status, usage = reap(self._process.pid, is_heir=self.inside == self._process.pid)
        self._kill(self._inside_pidfd)
        if self.inside != self._process.pid:
            # bubblewrap leaves its inner process to the nearest reaper, which we are.
            usage = replace(usage, max_rss_mb=0.0) + reap(self.inside)[1]
            usage = replace(
                usage, cpu_s=max(0.0, usage.cpu_s - own_s), system_s=max(0.0, usage.system_s - own_s)
            )
        if self._strays:
            usage += self._strays.end()
        _started.discard(self._process.pid)
        if self._enclosure:
            self._enclosure.close()
        self.exit_code = self._process.returncode = os.waitstatus_to_exitcode(status)
        os.close(self._outside_pidfd)
        os.close(self._inside_pidfd)
        return usage

    def _kill_group(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    @staticmethod
    def _kill(pidfd: int) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def unprivileged(uid: int) -> int:
    """The uid that jails run under: our own, or when we are root, `uid` or the dedicated one."""
    ours = set(os.getresuid())
    if 0 not in ours:
        return os.geteuid()
    chosen = uid or DEDICATED_UID
    if os.geteuid() != 0 or chosen == 0:
        raise SandboxError(
            "cannot drop root's rights before the jail starts; start AltLAS as an ordinary user"
        )
    return chosen


def find_bubblewrap() -> str:
    """Raises NoJailError when bubblewrap is not installed."""
    path = shutil.which("bwrap")
    if path is None:
        raise NoJailError(
            f"bubblewrap (bwrap) is missing, without which no program is run; {INSTALL_BUBBLEWRAP}"
        )
    return path


def _walls(launch: Launch) -> list[str]:
    """The file system of a jail, and what is cut off from it."""
    words = ["--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    words += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--clearenv"]
    for name, value in (ENVIRONMENT | launch.environment).items():
        words += ["--setenv", name, value]
    words += ["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin"]
    words += ["--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64"]
    words += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--dev", "/dev"]
    for folder in launch.engine.folders:
        words += ["--ro-bind", folder, folder]
    words += ["--size", str(launch.tmp_bytes), "--tmpfs", "/tmp", "--chdir", "/tmp"]
    if launch.serves:
        return [*words, "--proc", "/proc", "--as-pid-1"]
    words += ["--size", str(_SHM_BYTES), "--tmpfs", "/dev/shm"]
    return [*words, "--as-pid-1"] if launch.leads else words


def _command(
    bubblewrap: str, launch: Launch, *, report: int, open_files: ExitStack
) -> tuple[list[str], list[int]]:
    words, fds = [bubblewrap, *_walls(launch), "--info-fd", str(report)], [report]
    for path, content in launch.files.items():
        fd = open_files.enter_context(memory_file(path, content))
        words += ["--perms", "0444", "--ro-bind-data", str(fd), path]
        fds.append(fd)
    words += ["--remount-ro", "/dev", "--remount-ro", "/"]
    if launch.filter:
        fd = open_files.enter_context(memory_file("filter", launch.filter))
        words += ["--seccomp", str(fd)]
        fds.append(fd)
    return [*words, "--", *launch.command], fds


@contextmanager
def memory_file(name: str, content: bytes) -> Generator[int]:
    """A descriptor from which `content` can be read, gone afterwards."""
    fd = os.memfd_create(name)
    try:
        os.write(fd, content)
        os.lseek(fd, 0, os.SEEK_SET)
        yield fd
    finally:
        os.close(fd)


@dataclass(frozen=True, slots=True, kw_only=True)
class Jailer:
    """Starts engines under one uid: each in a jail; for want of namespaces `reduced`, or `bare` in none."""

    uid: int
    bare: bool = False
    reduced: bool = False

    @property
    def rung(self) -> str:
        """Of the ladder, for a fresh process per program."""
        return "plain" if self.bare else "landlock" if self.reduced else "bwrap-per-exec"

    @property
    def is_direct(self) -> bool:
        """Whether there is no process of bubblewrap around the engine, and no namespace."""
        return self.bare or self.reduced

    def processes(self, count: int) -> int:
        """The limit that leaves a program this many: without namespaces, all that a user runs are counted."""
        return count + tasks_of(self.uid) if self.is_direct else count

    def start(self, launch: Launch) -> Jailed:
        """Raises SandboxError when bubblewrap cannot start; what it fails at later ends the `Jailed`.

        This process becomes the reaper of what jails leave behind. Call it from a thread that lives as long
        as the jail: the kernel ends the jail with that thread.
        """
        return _start_direct(launch, self) if self.is_direct else _start(launch, uid=self.uid)

    def layers(self, *extra: str) -> tuple[str, ...]:
        """What stands between a program and this machine, for the record."""
        if self.bare:
            return ("rlimits", *extra, f"uid={self.uid}")
        if self.reduced:
            return (*landlock.LAYERS, "seccomp", *extra, f"uid={self.uid}")
        return (*LAYERS, "seccomp" if filters.supported() else "no-seccomp", *extra, f"uid={self.uid}")


def _start(launch: Launch, *, uid: int) -> Jailed:
    bubblewrap = find_bubblewrap()
    # bubblewrap ends before it has reaped its inner process: make that ours, not a zombie of init.
    become_reaper()
    with ExitStack() as open_files:
        listening, report = os.pipe()
        open_files.callback(os.close, listening)
        try:
            command, fds = _command(bubblewrap, launch, report=report, open_files=open_files)
            process = _spawn(command, launch, uid=uid, fds=fds, told=owned())
        finally:
            os.close(report)
        inside = _inner_pid(listening)
        with suppress(ProcessLookupError):
            if inside is not None and kernel_uid(inside) not in (0, None):
                _started.add(process.pid)
                return Jailed(process, inside)
        process.kill()
        process.wait()
        if inside is not None:
            reap(inside)
        raise SandboxError(
            f"bubblewrap could not build the jail: {log_tail(launch.stderr) or 'it gave no reason'}"
        )


def _start_direct(launch: Launch, jailer: Jailer) -> Jailed:
    if jailer.bare and jailer.uid != os.geteuid():
        raise SandboxError("programs are never run without a jail as root")
    become_reaper()
    strays = Strays(_started)
    enclosure = None
    if jailer.reduced:
        enclosure = Enclosure(jailer.uid, folders=launch.engine.folders, files=launch.files)
        launch = replace(launch, environment=enclosure.environment(launch.environment))
    command = [*map(enclosure.staged, launch.command)] if enclosure else [*launch.command]
    try:
        process = _spawn(command, launch, uid=jailer.uid, fds=(), enclosure=enclosure)
    except SandboxError:
        if enclosure:
            enclosure.close()
        raise
    _started.add(process.pid)
    return Jailed(process, process.pid, strays=strays, enclosure=enclosure)


def _spawn(
    command: list[str],
    launch: Launch,
    *,
    uid: int,
    fds: Sequence[int],
    told: dict[str, str] | None = None,
    enclosure: Enclosure | None = None,
) -> subprocess.Popen[bytes]:
    if uid == 0:
        raise SandboxError("a jail was about to be started as root, which is no jail")
    drop = os.geteuid() == 0
    with boundary(SandboxError, f"starting {command[0]} as uid {uid}"):
        return subprocess.Popen(
            command,
            stdin=launch.stdin,
            stdout=launch.stdout,
            stderr=launch.stderr,
            pass_fds=(*launch.inherit, *fds),
            env=ENVIRONMENT | launch.environment | (told or {}),
            cwd=enclosure.home if enclosure else "/",
            start_new_session=True,
            user=uid if drop else None,
            group=uid if drop else None,
            extra_groups=[] if drop else None,
            preexec_fn=(lambda: _prepare(launch.groups, enclosure)) if launch.groups or enclosure else None,
        )


def _prepare(groups: Sequence[int], enclosure: Enclosure | None) -> None:
    """In the new process, after it has lost root's rights: for groups the kernel asks who opened the files."""
    for fd in groups:
        os.write(fd, b"0")
    if enclosure:
        enclosure.enter()


def _inner_pid(listening: int) -> int | None:
    """What bubblewrap reports: {"child-pid": 123}, in several writes."""
    text, deadline = b"", time.monotonic() + _START_TIMEOUT_S
    poller = select.poll()
    poller.register(listening, select.POLLIN)
    while b"}" not in text and len(text) < 4096:
        if not poller.poll(max(0, (deadline - time.monotonic()) * 1000)):
            return None
        part = os.read(listening, 4096)
        if not part:
            return None
        text += part
    pid = json.loads(text)["child-pid"]
    return pid if isinstance(pid, int) else None
