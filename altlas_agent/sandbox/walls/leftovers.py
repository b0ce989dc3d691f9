"""Jails that outlive a worker which was killed while they started, and their end.

Bubblewrap asks the kernel to die with its parent, but does not look whether that is dead already, and
its inner process waits without an end for an outer one that was killed in between. So every jail tells in
its first environment whose it is, and the next worker that starts ends those of the dead.
"""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from pathlib import Path

from altlas_agent.sandbox.walls.processes import start_of

MARK = "ALTLAS_JAIL_OF"
"""Only what has not yet started its program has it: bubblewrap clears the environment."""

_MARKED = re.compile(rb"(?:^|\0)" + MARK.encode() + rb"=(\d+):(\d+):(\d+)\0")


def owned() -> dict[str, str]:
    """What a jail gets into its first environment: our pid, when we started, and where such a pid means us."""
    pid = os.getpid()
    return {MARK: f"{pid}:{start_of(pid)}:{_namespace()}"}


def end_leftovers() -> int:
    """Kill the jails of owners that are dead, as far as we may; how many processes that were."""
    ended = 0
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        with suppress(OSError):  # it is gone, or not ours
            marked = _MARKED.search(Path(f"/proc/{pid}/environ").read_bytes())
            if marked and _is_orphan(*map(int, marked.groups())):
                os.kill(pid, signal.SIGKILL)
                ended += 1
    return ended


def _is_orphan(owner: int, start: int, namespace: int) -> bool:
    return namespace == _namespace() and start_of(owner) != start


def _namespace() -> int:
    return Path("/proc/self/ns/pid").stat().st_ino
