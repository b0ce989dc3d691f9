"""Runners that are started once per module, and eyes that look at them from outside."""

from __future__ import annotations

import ctypes
import os
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import SandboxError
from altlas_agent.core.records import Limits, Program, RunResult, Status
from altlas_agent.sandbox.slots import Options, Slots
from altlas_agent.sandbox.walls import landlock
from altlas_agent.sandbox.walls.cgroup import Cgroup
from altlas_agent.sandbox.walls.processes import children
from tests.sandbox.attacks import RUNGS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.sandbox.runner import Runner


@dataclass(frozen=True)
class Run:
    """Runs a program of one language with short limits; any of them may be given."""

    runner: Runner | Slots
    language: str = "python"

    def __call__(
        self, code: str, *, entry: str = "", calls: tuple[str, ...] = (), stdin: str = "", **limits: float
    ) -> RunResult:
        program = Program(language=self.language, code=code, entry=entry, calls=calls, stdin=stdin)
        allowed = Limits(
            cpu_s=limits.get("cpu_s", 5.0),
            wall_s=limits.get("wall_s", 8.0),
            memory_mb=int(limits.get("memory_mb", 128)),
            output_kb=int(limits.get("output_kb", 64)),
            processes=int(limits.get("processes", 16)),
            tmp_mb=int(limits.get("tmp_mb", 32)),
            files=int(limits.get("files", 64)),
        )
        return self.runner.run(program, allowed)


@pytest.fixture(scope="module")
def slots() -> Iterator[Slots]:
    """Remembers no results, so that every program really runs."""
    with Slots(Options(result_cache=0)) as started:
        yield started


@pytest.fixture(scope="module", params=RUNGS)
def python_runner(request: pytest.FixtureRequest) -> Iterator[Runner]:
    rung = str(request.param)
    if rung == "zygote-full":
        try:
            Cgroup.make().close()
        except SandboxError as error:
            pytest.skip(error.message)
    runner = RUNGS[rung]()
    works = runner.run(Program(language="python", code=""), Limits()).status is Status.SUCCESS
    if rung == "landlock" and not works:
        pytest.skip("no Landlock of version 6")
    yield runner
    runner.close()


@pytest.fixture
def reduced_rung(request: pytest.FixtureRequest) -> bool:
    """Whether there are no namespaces: what is promised then is said test by test."""
    params: dict[str, str] = request.node.callspec.params
    return params["python_runner"] == "landlock"


@pytest.fixture
def run(python_runner: Runner) -> Run:
    return Run(python_runner)


@pytest.fixture
def run_node(slots: Slots) -> Run:
    return Run(slots, "javascript")


class Tools:
    """A folder that is all of PATH, and the bubblewrap in it, which may vanish or stop working."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._found = {name: shutil.which(name) for name in ("bwrap", "bash", "node", "cc")}
        for name, path in self._found.items():
            if path:
                (folder / name).symlink_to(path)
        self._bwrap = folder / "bwrap"

    def vanish(self) -> None:
        self._bwrap.unlink()

    def fail(self) -> None:
        self._bwrap.unlink()
        self._bwrap.write_text("#!/bin/bash\necho 'no \x1b[31mnamespaces' >&2\nexit 1\n", "utf-8")
        self._bwrap.chmod(0o755)

    def come_back(self) -> None:
        self._bwrap.unlink(missing_ok=True)
        self._bwrap.symlink_to(self._found["bwrap"] or "")

    def end_jails(self, pid: int) -> None:
        """Kill the bubblewraps below a process, so that it has to start others."""
        for each in descendants(pid):
            with suppress(OSError):
                if Path(f"/proc/{each}/exe").resolve().name == "bwrap":
                    os.kill(each, 9)
        time.sleep(0.3)


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> Iterator[Tools]:
    """What this process and those that it starts find on PATH."""
    if landlock_abi() < landlock.LOWEST_ABI:
        pytest.skip("no Landlock of version 6 to fall back on")
    # Not in tmp_path, which is closed to the uid that jails are started under.
    with TemporaryDirectory(prefix="altlas-tools-") as folder:
        os.chmod(folder, 0o755)
        made = Tools(Path(folder))
        monkeypatch.setenv("PATH", folder)
        yield made


def landlock_abi() -> int:
    abi: int = ctypes.CDLL(None).syscall(444, None, 0, 1)
    return abi


def descendants(pid: int) -> list[int]:
    """Every process below one, as the kernel shows it to us."""
    found: list[int] = []
    with suppress(OSError):  # it has ended meanwhile
        for child in children(pid):
            found += [child, *descendants(child)]
    return found


def zombies() -> list[int]:
    """Dead children of this process that nobody waited for."""
    dead: list[int] = []
    for pid in descendants(os.getpid()):
        try:
            state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if state == "Z" and int(parent) == os.getpid():
            dead.append(pid)
    return dead


def reap_orphans() -> None:
    """What workers leave that were killed falls to this process once it has built a jail of its own."""
    for _ in range(100):
        for pid in zombies():
            os.waitpid(pid, os.WNOHANG)
        if not zombies():
            return
        time.sleep(0.02)


def pid_of(identity: str) -> int:
    """The pid in what `alive` answers, such as `python:123`."""
    return int(identity.partition(":")[2])
