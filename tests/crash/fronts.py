"""The ways in which a run is started, and started again: each gives the process that holds the home."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from altlas_agent.core.errors import AltlasError
from altlas_agent.daemon.api.client import connect
from altlas_agent.daemon.api.site import Begun
from tests.crash.aiming.sitecustomize import AIM_ENV
from tests.sandbox.conftest import descendants

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

ROOT = Path(__file__).resolve().parents[2]
AIMING = Path(__file__).with_name("aiming")
COMMAND = (sys.executable, "-m", "altlas_agent")
STUDENT = "altlas_agent.learning.service"
WORKER = "altlas_agent.rewards.service"
BEGINS_S = 60.0
ENDS_BY_SIGNAL_S = 20.0
"""The promise is 5 s of a machine that has time."""


class Place:
    """Where one run lives: its home, its suite, a folder for temporary files, and what its processes said."""

    def __init__(self, folder: Path, suite: Path, words: Sequence[str]) -> None:
        self.home = folder / "home"
        self.suite = suite
        self.words = tuple(words)
        self.output = folder / "output.txt"
        self.temporary = folder / "tmp"
        self._folder = folder
        self._aims = folder / "aims"
        self._last_aim = 0
        folder.mkdir(mode=0o755)
        self._aims.mkdir()
        self.temporary.mkdir(mode=0o1777)
        self.temporary.chmod(0o1777)  # jails are started under another uid

    def run(
        self, *words: str, aim: str = "", limit: Callable[[], None] | None = None
    ) -> subprocess.Popen[bytes]:
        """`altlas WORDS`, with this home. An aim is `place:count:victim:delay_us:signal`; `limit` runs first."""
        self._last_aim += bool(aim)

        def prepare() -> None:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # what is started in the background ignores it
            if limit:
                limit()

        with self.output.open("ab") as output:
            return subprocess.Popen(
                [*COMMAND, *words],
                cwd=self._folder,
                env=self.surroundings(f"{aim}:{self._aims}/{self._last_aim}" if aim else ""),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=prepare,
            )

    def surroundings(self, aim: str = "") -> dict[str, str]:
        """The environment of a command."""
        kept = {
            name: value for name, value in os.environ.items() if "ALTLAS" not in name and "XDG" not in name
        }
        return kept | {
            "PYTHONPATH": f"{AIMING}:{ROOT}",
            "ALTLAS_HOME": str(self.home),
            "XDG_CONFIG_HOME": str(self._folder / "config"),
            "TMPDIR": str(self.temporary),
            AIM_ENV: aim,
        }

    @property
    def was_hit(self) -> bool:
        """Whether the last aim has hit."""
        marks = [int(mark.name) for mark in self._aims.iterdir()]
        return bool(marks) and max(marks) == self._last_aim

    def last_mark(self) -> int:
        """The number that the last aim wrote; 0 when there is none."""
        with suppress(OSError, ValueError):
            return int((self._aims / str(self._last_aim)).read_text())
        return 0

    def said(self) -> str:
        """What its processes wrote, the end of it."""
        return self.output.read_text(errors="replace")[-4000:] if self.output.exists() else ""

    def ask(self, sql: str) -> list[tuple[object, ...]]:
        """What the database answers; nothing when there is none, or not yet."""
        with (
            suppress(sqlite3.Error),
            closing(
                sqlite3.connect(f"file:{self.home / 'altlas.db'}?mode=ro", uri=True, timeout=10)
            ) as reader,
        ):
            return reader.execute(sql).fetchall()
        return []


class Front(Protocol):
    """One way to carry a run on. `pid` is the process whose death interrupts it."""

    @property
    def pid(self) -> int: ...

    def begin(self, aim: str = "") -> None:
        """Start the run, or go on with it; an aim needs a new process."""
        ...

    def is_alive(self) -> bool:
        """Whether the run is being carried on."""
        ...

    def wait(self, timeout_s: float) -> int:
        """0 when the run came to its end, once it is no longer carried on. Raises TimeoutError."""
        ...

    def exit_code(self, timeout_s: float) -> int:
        """That of the process, which is ending. Raises TimeoutError."""
        ...

    def close(self) -> list[str]:
        """End what is left; says what was wrong with that."""
        ...


class Foreground:
    """`altlas run start`, and then `altlas run resume`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def begin(self, aim: str = "") -> None:
        words = (
            ("resume", "r1")
            if has_begun(self._place)
            else ("start", str(self._place.suite), *self._place.words)
        )
        self._process = self._place.run("run", *words, aim=aim)

    def is_alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def wait(self, timeout_s: float) -> int:
        return self.exit_code(timeout_s)

    def exit_code(self, timeout_s: float) -> int:
        return _wait(self._process, timeout_s, self._place)

    def close(self) -> list[str]:
        return _end(self._process, signal.SIGINT, expected=130)


class Daemon:
    """`altlas daemon start`, and then `altlas run start --detach` and `altlas run resume`."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None
        self._wrong: list[str] = []

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    def begin(self, aim: str = "") -> None:
        if aim:
            self._wrong += self.close()
        if self._process is None or self._process.poll() is not None:
            self._process = self._place.run("daemon", "start", "--foreground", aim=aim)
        self._wait_until_reachable()
        if has_begun(self._place):
            with suppress(AltlasError):  # an aim has hit it, or will
                connect(self._place.home).post(
                    "/v1/runs/1/restart", Begun, {"settings": {}}, timeout_s=BEGINS_S
                )
        elif code := self._place.run(
            "run", "start", str(self._place.suite), "--detach", *self._place.words
        ).wait():
            raise TimeoutError(f"altlas run start --detach ends with exit code {code}:\n{self._place.said()}")

    def is_alive(self) -> bool:
        return self._serves() and self._status() == "running"

    def wait(self, timeout_s: float) -> int:
        until = time.monotonic() + timeout_s
        while self.is_alive():
            if time.monotonic() > until:
                raise TimeoutError(f"the run does not end within {timeout_s} s:\n{self._place.said()}")
            time.sleep(0.05)
        return 0 if self._status() == "ended" else 1

    def exit_code(self, timeout_s: float) -> int:
        return _wait(self._process, timeout_s, self._place)

    def close(self) -> list[str]:
        wrong, self._wrong = self._wrong, []
        return wrong + _end(self._process, signal.SIGTERM, expected=0)

    def _serves(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _status(self) -> object:
        return next((status for (status,) in self._place.ask("SELECT status FROM runs WHERE id = 1")), "")

    def _wait_until_reachable(self) -> None:
        until = time.monotonic() + BEGINS_S
        while self._serves() and not list((self._place.home / "run").glob(f"{self.pid}.json")):
            if time.monotonic() > until:
                raise TimeoutError(f"no daemon:\n{self._place.said()}")
            time.sleep(0.01)


def has_begun(place: Place) -> bool:
    """Whether there is a run to go on with."""
    return bool(place.ask("SELECT 1 FROM events WHERE run_id = 1 LIMIT 1"))


def _wait(process: subprocess.Popen[bytes] | None, timeout_s: float, place: Place) -> int:
    assert process, "it was begun"
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        raise TimeoutError(f"it does not end within {timeout_s} s:\n{place.said()}") from None


def _end(process: subprocess.Popen[bytes] | None, by: signal.Signals, *, expected: int) -> list[str]:
    if process is None or process.poll() is not None:
        return []
    process.send_signal(by)
    try:
        code = process.wait(ENDS_BY_SIGNAL_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return [f"it does not end within {ENDS_BY_SIGNAL_S} s of {by.name}"]
    return [] if code in (0, expected) else [f"it ends with exit code {code} after {by.name}"]


def child_of(pid: int, module: str) -> int:
    """A living process below `pid` that runs this module; 0 when there is none."""
    for each in descendants(pid):
        with suppress(OSError):
            if module.encode() in Path(f"/proc/{each}/cmdline").read_bytes().split(b"\0"):
                return each
    return 0


class Process(NamedTuple):
    """One process for good: numbers come again, but not with the same start."""

    pid: int
    began: str
    words: str


def wait_until_gone(processes: set[Process], timeout_s: float) -> list[Process]:
    """Those that still run then."""
    until = time.monotonic() + timeout_s
    while (
        left := [each for each in processes if start_of(each.pid) == each.began]
    ) and time.monotonic() < until:
        time.sleep(0.02)
    return left


def family(pid: int) -> set[Process]:
    """A process and all below it."""
    return {
        Process(each, began, words_of(each)) for each in (pid, *descendants(pid)) if (began := start_of(each))
    }


def words_of(pid: int) -> str:
    """What a process was started as, the beginning of it."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:80]
    return "gone"


def start_of(pid: int) -> str:
    """When a living process started, in ticks of the kernel; "" for one that is gone, or a zombie."""
    with suppress(OSError):
        state, *rest = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(") ")[2].split()
        return "" if state in "ZX" else rest[18]
    return ""
