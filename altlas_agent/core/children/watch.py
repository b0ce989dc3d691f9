"""A child process in a session of its own: start it, keep its last words, kill its whole tree."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING

import anyio

from altlas_agent.core.errors import ProcessError, boundary
from altlas_agent.core.log import clean

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

    from anyio.abc import Process

    from altlas_agent.core.children.pipes import Pipes

PARENT_ENV = "ALTLAS_PARENT_PID"
PR_SET_PDEATHSIG = 1
TAIL_BYTES = 4096
MAX_LINE_BYTES = 65536
QUOTED_LINES = 6

logger = logging.getLogger(__name__)


class LastWords:
    """What a child wrote on stderr: all of it appended to a file, the end of it kept for messages.

    Neither the file nor the messages hold secrets or anything that steers a terminal.
    """

    def __init__(self, log_path: Path | None) -> None:
        self._tail = bytearray()
        self._unwritten = b""
        self._file: BinaryIO | None = None
        if log_path is not None:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            self._file = log_path.open("ab", buffering=0)

    def feed(self, chunk: bytes) -> None:
        """Keep another piece. A log that cannot be written is given up, never the child."""
        self._tail += chunk
        del self._tail[:-TAIL_BYTES]
        # Whole lines, since a secret may come in two pieces.
        pending = self._unwritten + chunk
        end = len(pending) if len(pending) > MAX_LINE_BYTES else pending.rfind(b"\n") + 1
        self._unwritten = pending[end:]
        self._write(pending[:end])

    def quoted(self) -> str:
        """The last lines, harmless for a terminal; "" when there were none."""
        text = clean(self._tail.decode(errors="replace").replace("\r\n", "\n"))
        return "\n".join([line for line in text.split("\n") if line.strip()][-QUOTED_LINES:])

    def close(self) -> None:
        """Write what is left and close the log file."""
        self._write(self._unwritten)
        self._unwritten = b""
        self._close_file()

    def _write(self, data: bytes) -> None:
        if self._file is None or not data:
            return
        try:
            self._file.write(clean(data.decode(errors="backslashreplace")).encode())
        except OSError as error:
            logger.warning("%s: %s; the rest of this log is lost", self._file.name, error.strerror)
            self._close_file()

    def _close_file(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


async def open_child(
    argv: Sequence[str], pipes: Pipes, *, name: str, env: Mapping[str, str] | None
) -> Process:
    """Start `argv` in a session of its own, all three streams piped. `env` replaces the environment.

    Raises ProcessError when it cannot be started.
    """
    surroundings = dict(os.environ if env is None else env)
    surroundings.pop(PARENT_ENV, None)
    if _forks_in_this_thread():
        surroundings[PARENT_ENV] = str(os.getpid())
    with boundary(ProcessError, f"starting {name} ({argv[0]})"):
        return await anyio.open_process(
            argv,
            stdin=pipes.stdin,
            stdout=pipes.stdout,
            stderr=PIPE,
            env=surroundings,
            start_new_session=True,
        )


def die_with_parent() -> None:
    """In the child: have the kernel kill this process when the parent dies, if `open_child` asks for it."""
    parent = os.environ.pop(PARENT_ENV, None)
    if parent is None or sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal.SIGKILL))
    if os.getppid() != int(parent):
        raise SystemExit(f"process {parent}, which started this one, is gone")


def exit_text(returncode: int) -> str:
    """How a process ended, in words: "exit code 3", "killed by SIGKILL"."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"killed by signal {-returncode}"


def kill_tree(pid: int) -> None:
    """SIGKILL every process of the session that `pid` leads, and every descendant of `pid`.

    A descendant that has left the session and whose own parent is dead cannot be found. Without
    /proc only the process group is killed.
    """
    killed: set[int] = set()
    while victims := _members(pid) - killed:  # again for what was forked meanwhile
        for victim in victims:
            _kill(victim)
        killed |= victims
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # nobody is left, or (on some systems) zombies only


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # it went first, or runs as somebody else: the jail that made it so ends it


def _members(leader: int) -> set[int]:
    """The living processes of the leader's session, and its descendants in any session."""
    parents: dict[int, int] = {}
    members: set[int] = set()
    for pid in _pids():
        try:
            text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        except OSError:
            continue  # it ended while we were looking
        # pid (name) state parent group session ...; the name may hold spaces and brackets
        state, parent, _, session, *_ = text.rpartition(")")[2].split()
        if state in "ZX":
            continue
        parents[pid] = int(parent)
        if int(session) == leader:
            members.add(pid)
    return members | {pid for pid in parents if _descends(pid, leader, parents)}


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _descends(pid: int, ancestor: int, parents: dict[int, int]) -> bool:
    while pid in parents:
        pid = parents[pid]
        if pid == ancestor:
            return True
    return False


def _forks_in_this_thread() -> bool:
    """True on asyncio. Trio forks in a worker thread that soon ends, and the kernel takes the end of
    the forking thread for the death of the parent: there the child learns it by the end of its stdin.
    """
    import asyncio  # here: the child imports this module as well, and has no event loop

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
