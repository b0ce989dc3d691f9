"""Runs LODA programs: in a process of AltLAS itself, for they can compute and nothing else.

No jail is needed: the language knows no file, no network and no clock. Processor time, memory and output
are limited by the kernel all the same, steps, cells and digits by the machine.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import SandboxError, boundary
from altlas_agent.sandbox import limits as allowed
from altlas_agent.sandbox.cold import Files, OneShot
from altlas_agent.sandbox.jail import ENVIRONMENT, Engine, Jailed, Launch
from altlas_agent.sandbox.runner import Conditions, internal, refused
from altlas_agent.sandbox.walls.processes import become_reaper

if TYPE_CHECKING:
    from altlas_agent.core.records import Limits, Program, RunResult

RUNG = "interpreted"
LAYERS = ("loda-machine", "rlimits")

_MODULE = "altlas_agent.sandbox.engines.terms"
_ARGUMENT = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True, slots=True)
class _Beside:
    """Starts processes of AltLAS itself."""

    is_direct: bool = True

    def start(self, launch: Launch) -> Jailed:
        """Raises SandboxError when it cannot be started."""
        become_reaper()
        with boundary(SandboxError, f"starting {launch.engine.path}"):
            process = subprocess.Popen(
                launch.command,
                stdin=launch.stdin,
                stdout=launch.stdout,
                stderr=launch.stderr,
                pass_fds=launch.inherit,
                env=ENVIRONMENT | launch.environment,
                start_new_session=True,
            )
        return Jailed(process, process.pid)


class Loda:
    """A fresh process per program. Standard input holds the arguments, none of them asks for the first ten."""

    def __init__(self, uid: int) -> None:
        """Programs run under `uid` when we are root."""
        self._uid = uid
        self._conditions = Conditions(rung=RUNG, layers=(*LAYERS, f"uid={uid}"), engine="loda")

    def alive(self) -> str:
        """There is nothing to lose between two programs."""
        return f"loda:{RUNG}"

    def run(self, program: Program, limits: Limits) -> RunResult:
        """A term a line; for calls, whose entry may have any name, the term of each."""
        words = [call.strip("[] \n") for call in program.calls] or program.stdin.split()
        wrong = next((word for word in words if not _ARGUMENT.fullmatch(word)), None)
        if wrong is not None:
            return refused(f"LODA programs take whole numbers of at most 18 digits, not {wrong[:40]!r}")
        try:
            process = OneShot(_Beside(), self._conditions, self._launch)
        except SandboxError as error:
            return internal(error.message, self._conditions)
        return process.run(program, limits, self._request(program, words, limits))

    def close(self) -> None:
        """Nothing outlives a run."""

    def _request(self, program: Program, words: list[str], limits: Limits) -> bytes:
        bounds = allowed.bounds(limits)
        return msgspec.json.encode(
            {
                "code": program.code,
                "arguments": [int(word) for word in words] if words else None,
                "calls": bool(program.calls),
                "uid": self._uid,
                "cpu_hard_s": bounds.cpu_hard_s,
                "address_bytes": bounds.address_bytes,
                "file_bytes": bounds.file_bytes,
                "answer_bytes": bounds.output_bytes,
            }
        )

    def _launch(self, files: Files) -> Launch:
        return Launch(
            engine=loda_engine(),
            command=(sys.executable, "-P", "-B", "-X", "utf8", "-m", _MODULE, *map(str, files.harness)),
            environment={"PYTHONPATH": ":".join(path for path in sys.path if path)},
            stdin=files.stdin,
            stdout=files.stdout,
            stderr=files.stderr,
            inherit=files.harness,
        )


def loda_engine() -> Engine:
    """The Python of AltLAS itself."""
    return Engine(path=sys.executable)
