"""The JavaScript runner: a few node processes booted ahead, each in its own jail, for one program each."""

from __future__ import annotations

import signal
from collections import deque
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import SandboxError
from altlas_agent.core.records import Status
from altlas_agent.sandbox import filters
from altlas_agent.sandbox import limits as allowed
from altlas_agent.sandbox.cold import Files, OneShot
from altlas_agent.sandbox.jail import Jailer, Launch
from altlas_agent.sandbox.runner import Conditions, internal
from altlas_agent.sandbox.walls.groups import Groups

if TYPE_CHECKING:
    from altlas_agent.core.records import Limits, Program, RunResult
    from altlas_agent.sandbox.engines.interpreters import Engine

OWN_THREADS = 16
"""What node may need for itself, beside the processes of a program: with fewer than 8 it hangs for ever."""

_PROGRAM_JS = Path(__file__).parent / "inside" / "program.js"
_OWN_FILES = 24
_OUTSIDE_HEAP_MB = 128
_BOOT_CPU_S = 5


class Node:
    """Keeps `prewarmed` processes booted; a program takes one of them and another is started at once."""

    def __init__(self, jailer: Jailer, engine: Engine, *, prewarmed: int = 2) -> None:
        self._jailer, self._engine, self._prewarmed = jailer, engine, prewarmed
        self._groups = Groups()
        layers = jailer.layers(*self._groups.layers)
        self._conditions = Conditions(rung=jailer.rung, layers=layers, engine="node")
        self._ready: deque[OneShot] = deque()
        self._booted_for: Limits | None = None

    def alive(self) -> str:
        """The pid of the process that takes the next program; dead ones are dropped."""
        self._drop(only_dead=True)
        return f"node:{self._ready[0].alive()}" if self._ready else "node:none-booted"

    def run(self, program: Program, limits: Limits) -> RunResult:
        """Limits other than those of the program before cost a boot: node fixes its heap when it starts."""
        if limits != self._booted_for:
            self._drop(only_dead=False)
            self._booted_for = limits
        self._drop(only_dead=True)
        try:
            process = self._ready.popleft() if self._ready else self._boot(limits)
        except SandboxError as error:
            return internal(error.message, self._conditions)
        request = {
            "code": program.code,
            "entry": program.entry,
            "calls": program.calls,
            "answer_bytes": limits.output_kb * 1024,
            "answer_area": allowed.answer_area(len(program.calls), limits.output_kb * 1024),
        }
        refill = partial(self._refill, limits)
        result = process.run(program, limits, msgspec.json.encode(request), meanwhile=refill)
        return _heap_exhausted(result, limits)

    def close(self) -> None:
        """End the processes that still wait."""
        self._drop(only_dead=False)
        self._groups.close()

    def _refill(self, limits: Limits) -> None:
        """While a program runs; what cannot be booted now is said by the program that finds none."""
        with suppress(SandboxError):
            while len(self._ready) < self._prewarmed:
                self._ready.append(self._boot(limits))

    def _drop(self, *, only_dead: bool) -> None:
        kept = [process for process in self._ready if only_dead and process.alive()]
        for process in self._ready:
            if process not in kept:
                process.close()
        self._ready = deque(kept)

    def _boot(self, limits: Limits) -> OneShot:
        launch = partial(self._launch, limits=limits)
        return OneShot(self._jailer, self._conditions, launch, groups=self._groups)

    def _launch(self, files: Files, limits: Limits) -> Launch:
        path = str(_PROGRAM_JS) if self._jailer.bare else "/sbx/program.js"
        heap = f"--max-old-space-size={limits.memory_mb}"
        command = (self._engine.path, heap, "--v8-pool-size=1", path, *map(str, files.harness))
        return Launch(
            engine=self._engine,
            command=(*self._limited(limits), *command),
            files={"/sbx/program.js": _PROGRAM_JS.read_bytes()},
            filter=filters.whole(),
            stdin=files.stdin,
            stdout=files.stdout,
            stderr=files.stderr,
            inherit=files.harness,
            tmp_bytes=allowed.bounds(limits).tmp_bytes,
        )

    def _limited(self, limits: Limits) -> tuple[str, ...]:
        """The tool that sets limits inside the jail, where only the jail's own processes are counted."""
        bounds = allowed.bounds(limits, processes=self._jailer.processes(limits.processes + OWN_THREADS))
        data_bytes = bounds.memory_bytes + _OUTSIDE_HEAP_MB * allowed.MEBIBYTE
        words = [
            f"--data={data_bytes}",
            f"--fsize={bounds.file_bytes}",
            f"--nofile={bounds.open_files + _OWN_FILES}",
            "--core=0",
        ]
        words.append(f"--cpu={bounds.cpu_hard_s + _BOOT_CPU_S}")
        words.append(f"--nproc={bounds.processes}")
        return ("/usr/bin/prlimit", *words, "--")


def _heap_exhausted(result: RunResult, limits: Limits) -> RunResult:
    """node aborts when its heap is full; the peak that was measured tells this from any other abort."""
    aborted = result.status is Status.SIGNAL and result.signal in (
        signal.SIGABRT,
        signal.SIGTRAP,
        signal.SIGILL,
    )
    if aborted and result.max_rss_mb >= 0.9 * limits.memory_mb:
        return msgspec.structs.replace(result, status=Status.MEMORY_LIMIT)
    return result
