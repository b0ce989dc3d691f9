"""A few attacks before the sandbox is measured: a bench of a jail that has come off would prove nothing."""

from __future__ import annotations

import os
import re
import socket
from contextlib import closing
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

from altlas_agent.core.errors import SandboxError
from altlas_agent.core.records import Program

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from altlas_agent.core.records import RunResult

SECRET = "canary-5b0d3e"
NEEDED = {"user-ns", "mount-ns", "pid-ns", "net-ns", "ipc-ns", "no-caps", "seccomp", "pid-ns-per-program"}


async def prove_jail(worker: int, run: Callable[[Program], Awaitable[RunResult]]) -> None:
    """Raises SandboxError unless every attack fails, seen from outside, and all layers are on."""
    with NamedTemporaryFile("w+", prefix="altlas-canary-") as canary, closing(socket.socket()) as listener:
        canary.write(SECRET)
        canary.flush()
        os.fchmod(canary.fileno(), 0o666)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        result = await run(Program(language="python", code=_attack(canary.name, listener.getsockname())))
        reached = _is_reached(listener)
        canary.seek(0)
        written = canary.read() != SECRET
    faults = {
        "a program reached a socket outside": reached,
        "a program read or changed a file outside": written or SECRET.encode() in result.stdout,
        "a process of a jail belongs to root": any(map(_is_roots, _descendants(worker))),
        f"layers are missing: {sorted(NEEDED - {*result.layers})}": bool(NEEDED - {*result.layers}),
        f"the attack was not run: {result.stderr[:200]!r}": result.stdout != b"done\n",
    }
    if found := [fault for fault, holds in faults.items() if holds]:
        raise SandboxError(f"the sandbox is not measured because it is not whole: {'; '.join(found)}")


def _attack(canary: str, address: tuple[str, int]) -> str:
    return f"""
import os, socket
for attempt in (
    lambda: socket.create_connection({address!r}, 1),
    lambda: print(open({canary!r}).read()),
    lambda: open({canary!r}, "w").write("x"),
    lambda: print(open("/proc/1/environ").read()),
):
    try:
        attempt()
    except OSError:
        pass
print("done")
"""


def _is_reached(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


def _descendants(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text().split()]
    return children + [below for child in children for below in _descendants(child)]


def _is_roots(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    uids = re.search(r"^Uid:\s+(.*)$", status, re.MULTILINE)
    return uids is None or "0" in uids[1].split()
