"""A child process in a session of its own: start it, keep its last words, kill its whole tree."""

from __future__ import annotations

import logging
import os
import signal
from pathlib import Path
from subprocess import PIPE
from typing import TYPE_CHECKING

import anyio

from altlas_agent.core.errors import ProcessError, boundary
from altlas_agent.core.text import safe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

    from anyio.abc import Process

PARENT_ENV = "ALTLAS_PARENT_PID"
TAIL_BYTES = 4096
QUOTED_LINES = 6

logger = logging.getLogger(__name__)


class LastWords:
    """What a child wrote on stderr: all of it appended to a file, the end of it kept for messages."""

    def __init__(self, log_path: Path | None) -> None:
        self._tail = bytearray()
        self._file: BinaryIO | None = None
        if log_path is not None:
            log_path.parent.mkdir(parents=True, exist_ok=True)
            self._file = log_path.open("ab", buffering=0)

    def feed(self, chunk: bytes) -> None:
        """Keep another piece. A log that cannot be written is given up, never the child."""
        self._tail += chunk
        del self._tail[:-TAIL_BYTES]
        if self._file is None:
            return
        try:
            self._file.write(chunk)
        except OSError as error:
            logger.warning("%s: %s; the rest of this log is lost", self._file.name, error.strerror)
            self.close()

    def quoted(self) -> str:
        """The last lines, harmless for a terminal; "" when there were none."""
        lines = [line for line in self._tail.decode(errors="replace").split("\n") if line.strip()]
        return "\n".join(safe(line.rstrip("\r")) for line in lines[-QUOTED_LINES:])

    def close(self) -> None:
        """Close the log file."""
        if self._file is not None:
            self._file.close()
            self._file = None


async def open_child(argv: Sequence[str], *, name: str, env: Mapping[str, str] | None) -> Process:
    """Start `argv` in a session of its own, all three streams piped. `env` replaces the environment.

    Raises ProcessError when it cannot be started.
    """
    surroundings = dict(os.environ if env is None else env)
    surroundings.pop(PARENT_ENV, None)
    if _forks_in_this_thread():
        surroundings[PARENT_ENV] = str(os.getpid())
    with boundary(ProcessError, f"starting {name} ({argv[0]})"):
        return await anyio.open_process(
            argv, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=surroundings, start_new_session=True
        )


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
