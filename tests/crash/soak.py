"""`python -m tests.crash.soak --minutes 10`: a run among faults, one each ten seconds, and what it costs.

Workers and the student are killed, a listener and a worker are stopped, another program locks the database.
Exit code 0 when nothing was lost, nobody raised what nobody handled, and nothing grew; 1 otherwise.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.actors.worker import REMEMBERED
from altlas_agent.sandbox.walls.processes import become_reaper
from tests.crash import checks
from tests.crash.campaign import GONE_S, Witness
from tests.crash.fronts import ROOT, STUDENT, WORKER, Daemon, Foreground, Place, child_of
from tests.flows.conftest import TINY, write_suite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.crash.fronts import Front

LASTING = (
    "--set=run.stop_when_solved=false",
    "--set=run.checkpoint_every_s=5",
    "--set=learning.learning_rate=1e-7",
)
"""It learns next to nothing, so that its programs go on being new: one that is sure of its solutions writes them
again and again, and then the memory of verdicts is never full, and nothing is run any more."""

FAULT_EACH_S = 10.0
STOPPED_S = 3.0
CACHES_MIB = 40
"""Memory counts once the database is larger: then the writer's page cache (32 MiB) and smaller ones are full."""

LOOKED_EACH_S = 20.0
_PROGRAMS = "SELECT count(*) FROM (SELECT DISTINCT task_id, instance, code_id FROM attempts WHERE run_id = 1)"

MEASURED_S = 240.0
"""For so long memory is looked at then, also when that takes longer than was asked for."""

MIN_MINUTES = 5.0
"""A shorter soak tells nothing of memory."""

WINDOW_S = 20.0
"""Of so much time the smallest figure counts: what is held for a moment is no growth."""

SLOPE_BAR_MIB_H = 1.0
FAULTS = ("kill-worker", "kill-student", "stop-listener", "lock", "stop-worker")


class Sample(NamedTuple):
    """What the main process held at a moment."""

    at_s: float
    rss_mib: float
    files: int
    threads: int
    tasks: int


@dataclass
class Soak:
    """What was seen."""

    samples: list[Sample] = field(default_factory=list[Sample])
    warm_at_s: float | None = None
    faults: dict[str, int] = field(default_factory=dict[str, int])
    falls: int = 0
    wrong: list[str] = field(default_factory=list[str])

    def is_over(self, at_s: float, minutes: float) -> bool:
        """Whether it has lasted as long as it was to, and memory was looked at for long enough."""
        if at_s < minutes * 60:
            return False
        has_looked = self.warm_at_s is not None and at_s >= self.warm_at_s + MEASURED_S
        return minutes < MIN_MINUTES or has_looked or at_s >= 3 * minutes * 60

    def slope(self) -> tuple[float, float] | None:
        """How memory grows, by least squares: MiB per hour with the standard error; None before the caches are full."""
        if self.warm_at_s is None:
            return None
        least = _windows([(s.at_s, s.rss_mib) for s in self.samples], self.warm_at_s)
        if len(least) < 4:
            return None
        xs, ys = [at_s / 3600 for at_s, _ in least], [value for _, value in least]
        slope, base = statistics.linear_regression(xs, ys)
        residuals = sum((y - base - slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
        spread = sum((x - statistics.fmean(xs)) ** 2 for x in xs)
        return slope, (residuals / (len(xs) - 2) / spread) ** 0.5


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--minutes", type=float, default=10.0)
    words.add_argument("--seed", type=int, default=1)
    words.add_argument("--front", choices=("daemon", "foreground"), default="daemon")
    words.add_argument("--json", action="store_true")
    asked = words.parse_args()
    become_reaper()
    with tempfile.TemporaryDirectory(prefix="altlas-soak-") as folder:
        Path(folder).chmod(0o755)
        told, wrong = _soak(Path(folder), asked)
    told["failures"] = wrong
    sys.stdout.write(f"{json.dumps(told)}\n" if asked.json else "\n".join([*_lines(told), ""]))
    return 1 if wrong else 0


def _soak(folder: Path, asked: argparse.Namespace) -> tuple[dict[str, object], list[str]]:
    place = Place(folder / "place", write_suite(folder / "little"), (*TINY, *LASTING))
    front: Front = Daemon(place) if asked.front == "daemon" else Foreground(place)
    soak, witness = Soak(), Witness(place)
    listener = _beside("tests.crash.listener", place)
    try:
        front.begin("tasks:1:self:0:SIGKILL")
        _live(soak, front, place, listener=listener.pid, minutes=asked.minutes, seed=asked.seed)
        soak.wrong += front.close()
        _look_at_the_end(soak, place, witness, {witness.pid, listener.pid})
    finally:
        front.close()
        for process in (listener,):
            process.kill()
            process.wait()
        witness.close()
    return _figures(soak, place), soak.wrong


def _live(soak: Soak, front: Front, place: Place, *, listener: int, minutes: float, seed: int) -> None:
    """Look each second, and do something to it each ten."""
    began, coming = time.monotonic(), _faults(random.Random(seed))
    fault_at, looked_at = began + FAULT_EACH_S, began
    while not soak.is_over((now := time.monotonic()) - began, minutes):
        if not front.is_alive():
            soak.falls += 1
            soak.wrong.append(f"the run fell after {now - began:.0f} s: {place.said()[-300:]}")
            front.begin()
        if now >= fault_at:
            fault_at += FAULT_EACH_S
            kind = next(coming)
            soak.faults[kind] = soak.faults.get(kind, 0) + 1
            _DO[kind](front.pid, place, listener)
        with suppress(OSError, ValueError):
            soak.samples.append(_sample(front.pid, place, now - began))
            if soak.warm_at_s is None and now >= looked_at + LOOKED_EACH_S:
                looked_at = now
                soak.warm_at_s = now - began if _are_full(place) else None
        time.sleep(1.0)


def _are_full(place: Place) -> bool:
    """Whether the caches of the database are, and the memory of verdicts: what they grow by is no leak."""
    if (place.home / "altlas.db").stat().st_size <= CACHES_MIB << 20:
        return False
    found = place.ask(_PROGRAMS)
    programs = found[0][0] if found else None  # nothing while the database is locked
    return isinstance(programs, int) and programs > REMEMBERED


def _faults(rng: random.Random) -> Iterator[str]:
    """All kinds in turn, in an order that changes: no kind comes so often that a part is given up."""
    while True:
        yield from rng.sample(FAULTS, len(FAULTS))


def _kill_worker(main: int, _place: Place, _listener: int) -> None:
    _signal(child_of(main, WORKER), signal.SIGKILL)


def _kill_student(main: int, _place: Place, _listener: int) -> None:
    _signal(child_of(main, STUDENT), signal.SIGKILL)


def _stop_worker(main: int, _place: Place, _listener: int) -> None:
    worker = child_of(main, WORKER)
    _signal(worker, signal.SIGSTOP)
    time.sleep(STOPPED_S)
    _signal(worker, signal.SIGCONT)


def _stop_listener(_main: int, _place: Place, listener: int) -> None:
    _signal(listener, signal.SIGSTOP)
    time.sleep(STOPPED_S)
    _signal(listener, signal.SIGCONT)


def _lock(_main: int, place: Place, _listener: int) -> None:
    with closing(sqlite3.connect(place.home / "altlas.db", isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        time.sleep(STOPPED_S)
        other.execute("ROLLBACK")


_DO: dict[str, Callable[[int, Place, int], None]] = {
    "kill-worker": _kill_worker,
    "kill-student": _kill_student,
    "stop-worker": _stop_worker,
    "stop-listener": _stop_listener,
    "lock": _lock,
}


def _signal(pid: int, number: signal.Signals) -> None:
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _sample(pid: int, place: Place, at_s: float) -> Sample:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    status = {name: words.split() for name, _, words in (line.partition(":") for line in lines)}
    files = len(os.listdir(f"/proc/{pid}/fd"))
    return Sample(at_s, int(status["VmRSS"][0]) / 1024, files, int(status["Threads"][0]), place.last_mark())


def _look_at_the_end(soak: Soak, place: Place, witness: Witness, known: set[int]) -> None:
    witness.catch_up()
    soak.wrong += checks.acknowledged_lost(place, witness.seen) + checks.order(place)
    soak.wrong += checks.soundness(place, thorough=True)
    soak.wrong += checks.orphans(known, within_s=GONE_S)
    soak.wrong += [f"C7: {wrong}" for wrong in dict.fromkeys(witness.seen.wrong)]
    for path in (place.output, *(place.home / "log").iterdir()):
        unhandled = path.read_text(errors="replace").count("Traceback")
        if unhandled:
            soak.wrong.append(f"{unhandled} unhandled exceptions in {path.name}")
    slope = soak.slope()
    if slope is not None and slope[0] - 2 * slope[1] > SLOPE_BAR_MIB_H:
        soak.wrong.append(f"memory grows by {slope[0]:.1f} MiB/h (standard error {slope[1]:.1f})")
    for name in ("files", "threads", "tasks"):
        points = [(s.at_s, getattr(s, name)) for s in soak.samples]
        least = [least for _, least in _windows(points, points[-1][0] / 3)]
        early, late = least[: len(least) // 2], least[len(least) // 2 :]  # what is under way comes and goes
        if early and min(late) > min(early):
            soak.wrong.append(f"{name} grew from {min(early)} to {min(late)}")


def _windows(points: list[tuple[float, float]], since_s: float) -> list[tuple[float, float]]:
    """The smallest figure of each stretch from then on, at the middle of the stretch."""
    kept = [point for point in points if point[0] >= since_s]
    groups = itertools.groupby(kept, key=lambda point: int(point[0] // WINDOW_S))
    return [((number + 0.5) * WINDOW_S, min(value for _, value in group)) for number, group in groups]


def _figures(soak: Soak, place: Place) -> dict[str, object]:
    ((attempts,),) = place.ask("SELECT count(*) FROM attempts") or [(0,)]
    slope = soak.slope()
    last = soak.samples[-1]
    return {
        "minutes": round(last.at_s / 60, 1),
        "faults": soak.faults,
        "attempts": attempts,
        "attempts_per_s": round(int(str(attempts)) / last.at_s, 1),
        "rss_mib": round(last.rss_mib, 1),
        "rss_slope_mib_h": round(slope[0], 1) if slope else None,
        "rss_slope_error_mib_h": round(slope[1], 1) if slope else None,
        "caches_full_after_s": round(soak.warm_at_s) if soak.warm_at_s else None,
        "open_files": last.files,
        "threads": last.threads,
        "tasks": last.tasks,
        "falls": soak.falls,
    }


def _lines(told: dict[str, object]) -> Iterator[str]:
    for name, value in told.items():
        if isinstance(value, dict):
            yield from (f"  {kind:<20} {count}" for kind, count in sorted(value.items()))
        elif isinstance(value, list):
            yield f"{name:<22} {len(value)}"
            yield from (f"  {wrong}" for wrong in value)
        else:
            yield f"{name:<22} {value}"


def _beside(module: str, place: Place) -> subprocess.Popen[bytes]:
    surroundings = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-m", module, str(place.home)], cwd=ROOT, env=surroundings)


if __name__ == "__main__":
    sys.exit(main())
