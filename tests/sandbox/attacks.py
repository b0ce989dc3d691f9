"""Attacks that leave a trace outside where a jail has a hole; run as a script to make them as another user.

    python -m tests.sandbox.attacks RUNG FOLDER PORT USER    (0: who we are) prints one JSON object: `Shown`

Everything that is imported is imported before the change of user, who need not be able to read it.
"""

from __future__ import annotations

import codecs
import ctypes
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.records import Limits, Program, RunResult, Status
from altlas_agent.sandbox.cold import ColdPython
from altlas_agent.sandbox.engines.interpreters import python_engine
from altlas_agent.sandbox.jail import Jailer, unprivileged
from altlas_agent.sandbox.walls.cgroup import Cgroup
from altlas_agent.sandbox.walls.processes import children
from altlas_agent.sandbox.warm import ForkServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.sandbox.runner import Runner

JAIL_UID = 61_100 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
"""Whose the programs are when the tests run as root: where no namespace is, all that a user runs is counted."""

SECRET, ELSEWHERE = "canary-77aa12", "canary-in-an-environment-0c41"
LATE_S = 0.6
_DUMPABLE = 4

ATTACK = """
import os, resource, signal, socket
folder, port, victim = {folder!r}, {port}, {victim}
def connect():
    with socket.create_connection(("127.0.0.1", port), 1) as s:
        s.sendall(b"hello")
def talk():
    with socket.socket(socket.AF_UNIX) as s:
        s.connect("\\0altlas-" + str(port))
def read():
    print(open(folder + "/secret").read())
def write():
    open(folder + "/written", "w").close()
def change():
    os.chmod(folder + "/own", 0)
def spy():
    print(open("/proc/" + str(victim) + "/environ").read())
def slow():
    os.setpriority(os.PRIO_PROCESS, victim, 19)
def starve():
    resource.prlimit(victim, resource.RLIMIT_NOFILE, (3, 3))
def stop():
    os.kill(victim, signal.SIGSTOP)
def outlive():
    if not os.fork():
        os.setsid()
        if os.fork():
            os._exit(0)
        import time
        time.sleep({late_s})
        try:
            open(folder + "/late", "w").close()
        finally:
            os._exit(0)
for attempt in (connect, talk, read, write, change, spy, slow, starve, stop, outlive):
    try:
        attempt()
    except OSError:
        pass
print("done")
"""
REACHED_WITHOUT_A_JAIL = frozenset(
    {"network", "sockets", "reading", "writing", "modes", "spying", "scheduling", "limits", "signals"}
)
OUTLIVING = "outliving"


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What came of all attacks together, as far as the one who ran them saw it."""

    rung: str
    output: str
    victim: set[str]
    """What was done to another process of the same user."""
    serves: bool
    """Whether the runner ran the next program as if nothing had happened."""
    left: list[int]
    """Children that were still there, alive or dead, when the runner was closed."""


@dataclass(frozen=True)
class Place:
    """What stands outside the jail to be attacked; the folder may be written by anyone."""

    folder: Path
    listeners: tuple[socket.socket, socket.socket]

    @classmethod
    def make(cls, folder: Path) -> Place:
        folder.chmod(0o777)
        (folder / "secret").write_text(SECRET)
        (folder / "secret").chmod(0o644)
        tcp, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
        unix.bind(f"\0altlas-{tcp.getsockname()[1]}")
        unix.listen()
        for listener in (tcp, unix):
            listener.setblocking(False)
        return cls(folder, (tcp, unix))

    @property
    def port(self) -> int:
        return int(self.listeners[0].getsockname()[1])

    def close(self) -> None:
        for listener in self.listeners:
            listener.close()

    def traces(self, shown: Shown) -> set[str]:
        """What the attacks reached, seen from outside."""
        time.sleep(LATE_S + 0.2)
        own = self.folder / "own"
        seen = {
            "network": _heard(self.listeners[0]),
            "sockets": _heard(self.listeners[1]),
            "reading": SECRET in shown.output,
            "spying": ELSEWHERE in shown.output,
            "writing": (self.folder / "written").exists(),
            "modes": own.exists() and own.stat().st_mode & 0o777 == 0,
            OUTLIVING: (self.folder / "late").exists(),
        }
        return {name for name, happened in seen.items() if happened} | shown.victim


def _heard(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True


class NoRunner:
    """Runs a program as anybody would, with nothing of ours around it."""

    def run(self, program: Program, limits: Limits) -> RunResult:
        words = [python_engine("auto").path, "-c", program.code]
        done = subprocess.run(words, capture_output=True, timeout=limits.wall_s, check=False)
        return RunResult(status=Status.SUCCESS, stdout=done.stdout, stderr=done.stderr, rung="none")

    def alive(self) -> str:
        return "none"

    def close(self) -> None:
        """Nothing is kept."""


def _fork_server(*, full: bool = False, compiled: bool = True) -> Runner:
    cgroup = Cgroup.make() if full else None
    return ForkServer(
        Jailer(uid=unprivileged(JAIL_UID)), python_engine("auto"), cgroup=cgroup, compiled=compiled
    )


def _cold(*, bare: bool = False, reduced: bool = False) -> Runner:
    jailer = Jailer(uid=unprivileged(JAIL_UID), bare=bare, reduced=reduced)
    return ColdPython(jailer, python_engine("auto"))


RUNGS: dict[str, Callable[[], Runner]] = {
    "zygote-full": lambda: _fork_server(full=True),
    "zygote-no-cgroup": _fork_server,
    "zygote-python": lambda: _fork_server(compiled=False),
    "bwrap-per-exec": _cold,
    "landlock": lambda: _cold(reduced=True),
}
"""Every way to run Python that may be used without a word; they must keep the same promises."""

UNSAFE: dict[str, Callable[[], Runner]] = {"plain": lambda: _cold(bare=True), "none": NoRunner}


def attack(runner: Runner, folder: str, port: int) -> Shown:
    """Make all attacks under the uid of this process or, as root, under that of the jail; closes the runner."""
    before, drop = set(children(os.getpid())), JAIL_UID if os.geteuid() == 0 else None
    environment = {"PATH": "/usr/bin", "ALTLAS_API_KEY": ELSEWHERE}
    with subprocess.Popen(["/usr/bin/sleep", "60"], env=environment, user=drop, group=drop) as victim:
        try:
            code = ATTACK.format(folder=folder, port=port, victim=victim.pid, late_s=LATE_S)
            result = runner.run(Program(language="python", code=code), Limits(wall_s=8, cpu_s=5))
            harm = _harm(victim.pid)
        finally:
            victim.kill()
    again = runner.run(Program(language="python", code="print(1)"), Limits())
    return Shown(
        rung=result.rung,
        output=(result.stdout + result.stderr).decode(errors="replace"),
        victim=harm,
        serves=again.stdout == b"1\n",
        left=sorted(set(children(os.getpid())) - before),
    )


def _harm(victim: int) -> set[str]:
    # A signal that stops is acted upon when the process runs next, which takes a moment on a busy machine.
    until = time.monotonic() + 0.3
    while not _is_stopped(victim) and time.monotonic() < until:
        time.sleep(0.02)
    seen = {
        "scheduling": os.getpriority(os.PRIO_PROCESS, victim) == 19,
        "limits": re.search(r"Max open files +3 ", Path(f"/proc/{victim}/limits").read_text()) is not None,
        "signals": _is_stopped(victim),
    }
    return {name for name, happened in seen.items() if happened}


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


def become(uid: int) -> None:
    """Turn from root into an ordinary user, as whom nothing of this process stays hidden."""
    codecs.lookup("ascii")  # which Python looks for when it is first used
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    ctypes.CDLL(None).prctl(_DUMPABLE, 1, 0, 0, 0)


def main(rung: str, folder: str, port: str, uid: str) -> None:
    if int(uid):
        become(int(uid))
    Path(folder, "own").touch()
    runner = (RUNGS | UNSAFE)[rung]()
    try:
        shown = attack(runner, folder, int(port))
    finally:
        runner.close()
    sys.stdout.write(msgspec.json.encode(shown).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
