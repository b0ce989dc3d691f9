"""Attacks that leave a trace outside where a jail has a hole; run as a script by an ordinary user.

python attacks.py RUNG FOLDER PORT      one JSON object: the rung, its layers, what the victim became
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from altlas_agent.core.records import Limits, Program
from altlas_agent.sandbox.cold import ColdPython
from altlas_agent.sandbox.jail import Jailer, python_engine, unprivileged
from altlas_agent.sandbox.warm import ForkServer

if TYPE_CHECKING:
    from altlas_agent.core.records import RunResult
    from altlas_agent.sandbox.runner import Runner

SECRET = "canary-77aa12"
LATE_S = 1.0

ATTACK = """
import os, socket, sys, time
folder, port, victim = {folder!r}, {port}, {victim}
def connect():
    with socket.create_connection(("127.0.0.1", port), 1) as s:
        s.sendall(b"hello")
def read():
    print(open(folder + "/secret").read())
def write():
    open(folder + "/written", "w").close()
def change():
    os.chmod(folder + "/own", 0)
def kill():
    os.kill(victim, 9)
def outlive():
    if not os.fork():
        os.setsid()
        if os.fork():
            os._exit(0)
        time.sleep({late_s})
        try:
            open(folder + "/late", "w").close()
        finally:
            os._exit(0)
for attempt in (connect, read, write, change, kill, outlive):
    try:
        attempt()
    except OSError:
        pass
print("done")
"""


@dataclass(frozen=True)
class Place:
    """What stands outside the jail to be attacked; the folder may be written by anyone."""

    folder: Path
    listener: socket.socket

    @classmethod
    def make(cls, folder: Path) -> Place:
        folder.chmod(0o777)
        (folder / "secret").write_text(SECRET)
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        return cls(folder, listener)

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def traces(self, output: str, *, victim_died: bool) -> set[str]:
        """What the attacks reached, seen from outside."""
        time.sleep(LATE_S + 0.3)
        own = self.folder / "own"
        seen = {
            "network": self._heard(),
            "reading": SECRET in output,
            "writing": (self.folder / "written").exists(),
            "modes": own.exists() and own.stat().st_mode & 0o777 == 0,
            "signals": victim_died,
            "outliving": (self.folder / "late").exists(),
        }
        return {name for name, happened in seen.items() if happened}

    def _heard(self) -> bool:
        try:
            self.listener.accept()[0].close()
        except BlockingIOError:
            return False
        return True


def attack(runner: Runner, folder: str, port: int) -> tuple[RunResult, bool]:
    """Run them all under the uid of this process or the dedicated one; whether the victim died of it."""
    uid = unprivileged(0)
    drop = uid if os.geteuid() == 0 else None
    with subprocess.Popen(["/usr/bin/sleep", "60"], user=drop, group=drop) as victim:
        code = ATTACK.format(folder=folder, port=port, victim=victim.pid, late_s=LATE_S)
        result = runner.run(Program(language="python", code=code), Limits(wall_s=8, cpu_s=5))
        died = victim.poll() is not None
        victim.kill()
    return result, died


def runner_of(rung: str) -> Runner:
    """A runner of an ordinary user."""
    uid, engine = unprivileged(0), python_engine("auto")
    if rung == "zygote-no-cgroup":
        return ForkServer(Jailer(uid=uid), engine)
    return ColdPython(Jailer(uid=uid, bare=rung == "plain", reduced=rung == "landlock"), engine)


def main(rung: str, folder: str, port: str) -> None:
    own = Path(folder, "own")
    own.touch()
    runner = runner_of(rung)
    result, died = attack(runner, folder, int(port))
    runner.close()
    text = (result.stdout + result.stderr).decode(errors="replace")
    shown = {"rung": result.rung, "layers": result.layers, "output": text, "victim_died": died}
    sys.stdout.write(json.dumps(shown))


if __name__ == "__main__":
    main(*sys.argv[1:])
