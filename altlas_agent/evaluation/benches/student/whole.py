"""Whole runs: attempts for each CPU second of all their processes, with everything that a run does.

Two runs of different lengths begin alike; what the longer one does more is what counts, so that starting up
and the first, easier programs of both cancel out. Beside them stands what a plain loop would pay: a fresh
interpreter for each program, and nothing else.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

SUITE = "quickstart"
SHORT, LONG = 320, 1280
_RUN_S = 600.0
_PLAIN = 20


class Rates(NamedTuple):
    """Attempts for each CPU second: of a run, and of programs that are only started."""

    run: float
    plain: float


def rates(seed: int) -> Rates:
    """Raises CalledProcessError when a run fails."""
    short_s, long_s = (_run_cpu_s(attempts, seed) for attempts in (SHORT, LONG))
    plain_s = _cpu_s([[sys.executable, "-I", "-S", "-c", "print(1)"]] * _PLAIN)
    return Rates((LONG - SHORT) / (long_s - short_s), _PLAIN / plain_s)


def _run_cpu_s(attempts: int, seed: int) -> float:
    with tempfile.TemporaryDirectory(prefix="altlas-bench-") as folder:
        words = ["run", "start", SUITE, "--seed", str(seed), "--max-attempts", str(attempts)]
        options = ["--set", "run.stop_when_solved=false", "--home", str(Path(folder) / "home")]
        return _cpu_s([[sys.executable, "-m", "altlas_agent", *words, *options]])


def _cpu_s(commands: list[list[str]]) -> float:
    """User and system time of these and all below them."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for command in commands:
        subprocess.run(command, capture_output=True, check=True, timeout=_RUN_S)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
