"""The cold runner: one fresh child per program under rlimits; kills all of it when it is over.

here                                     jail
start: descriptors, empty files    ->    boots, then waits for the word to go
run: fills the request, says go    ->    closes what it must not keep, runs the program
watches clock, CPU, memory               writes streams and answers into files of ours
kills the jail, then reads
"""

from __future__ import annotations

import os
import struct
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from altlas_agent.core.errors import SandboxError
from altlas_agent.sandbox import filters
from altlas_agent.sandbox import limits as allowed
from altlas_agent.sandbox.jail import Jailed, Jailer, Launch
from altlas_agent.sandbox.library import EMPTY, INSIDE, Library
from altlas_agent.sandbox.runner import (
    Broken,
    Conditions,
    Evidence,
    Stage,
    Streams,
    internal,
    read_answers,
    verdict,
)
from altlas_agent.sandbox.walls.cgroup import Account
from altlas_agent.sandbox.walls.groups import Groups, Ledger, joining
from altlas_agent.sandbox.walls.processes import Usage, log_tail
from altlas_agent.sandbox.warm import pack_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.core.records import Limits, Program, RunResult
    from altlas_agent.sandbox.engines.interpreters import Engine

NOTHING_USED = Account(cpu_s=0.0, peak_bytes=0, oom_kills=0)
_TICK_S = 0.02
_SLACK_BYTES = 64 * allowed.MEBIBYTE
"""What an engine may take outside of what its own limit counts: this one is for what slips past that."""
_FIRST_TICK_S = 0.0025
"""Doubled up to a tick: what ends sooner was also seen in the second half of its life."""
_STAGE_BYTES = 4096
_ENDED_AT, _BOOT_AT, _PEAK_AT = 8, 16, 32
_FATAL = frozenset({*range(1, 17), *range(24, 28), 29, 30, 31})
_PROGRAM_PY = Path(__file__).parent / "inside" / "program.py"


class Files:
    """What a one-shot process shares with us: files in memory, and a pipe that says go."""

    def __init__(self) -> None:
        self.stdin, self.stdout, self.stderr = (os.memfd_create(name) for name in ("in", "out", "err"))
        self.request, self.stage, self.answers = (
            os.memfd_create(name) for name in ("request", "stage", "answers")
        )
        os.ftruncate(self.stage, _STAGE_BYTES)
        self.wait, self.go = os.pipe()

    @property
    def harness(self) -> tuple[int, int, int, int]:
        """The descriptors that the harness inside is told about."""
        return (self.wait, self.request, self.stage, self.answers)

    def fill(self, request: bytes, stdin: str, answer_area: int) -> None:
        """Everything that the harness finds once it may go."""
        os.pwrite(self.request, request, 0)
        os.pwrite(self.stdin, stdin.encode(), 0)
        os.ftruncate(self.answers, answer_area)

    def exit_code(self) -> int | None:
        """What a harness that waits for the program saw: its exit code, or the negative of a signal."""
        ended, status = struct.unpack("<II", os.pread(self.stage, 8, _ENDED_AT))
        return os.waitstatus_to_exitcode(status & 0xFFFF) if ended else None

    def max_rss_mb(self) -> float:
        """The peak of the largest process that such a harness waited for; 0 when there is no harness."""
        peak_kb: int = struct.unpack("<Q", os.pread(self.stage, 8, _PEAK_AT))[0]
        return peak_kb / 1024

    def boot(self, base: Usage) -> Usage:
        """What was used before the program began: what a harness says, else what was seen when it was let go."""
        cpu_s, system_s = struct.unpack("<dd", os.pread(self.stage, 16, _BOOT_AT))
        return replace(base, cpu_s=cpu_s, system_s=system_s) if cpu_s > 0 else base

    def close(self) -> None:
        """Idempotent."""
        for fd in (self.stdin, self.stdout, self.stderr, *self.harness, self.go):
            with suppress(OSError):
                os.close(fd)
        self.stdin = self.stdout = self.stderr = self.request = self.stage = self.answers = -1
        self.wait = self.go = -1


class Starter(Protocol):
    """What starts a process: a jailer, or what needs none."""

    @property
    def is_direct(self) -> bool:
        """Whether there is no process of bubblewrap around the engine, and no namespace."""
        ...

    def start(self, launch: Launch) -> Jailed:
        """Raises SandboxError when it cannot be started."""
        ...


class OneShot:
    """One process that boots, waits for one program, runs it and ends."""

    def __init__(
        self,
        jailer: Starter,
        conditions: Conditions,
        launch: Callable[[Files], Launch],
        *,
        groups: Groups | None = None,
    ) -> None:
        """In a group of `groups`, where there is one. Raises SandboxError when the process cannot be started."""
        self._conditions = conditions
        self._direct = jailer.is_direct
        self.artefact = b""
        """What the harness handed out beside answers, once it has run."""
        self._files = Files()
        self._jailed: Jailed | None = None
        self._groups = groups
        self._group = groups.take() if groups else None
        try:
            with joining(launch(self._files), self._group) as joined:
                self._jailed = jailer.start(joined)
        except SandboxError:
            self.close()
            raise

    def alive(self) -> str:
        """The pid of the process as seen from here, or "" when it has ended."""
        return str(self._jailed.inside) if self._jailed and self._jailed.is_running() else ""

    def run(
        self,
        program: Program,
        limits: Limits,
        request: bytes,
        *,
        artefact_bytes: int = 0,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> RunResult:
        """Run the program and end the process; a second call answers INTERNAL. `meanwhile` must be short."""
        if self._jailed is None:
            return internal("this process has run its program", self._conditions)
        jailed, cap = self._jailed, limits.output_kb * 1024
        try:
            self._files.fill(request, program.stdin, allowed.answer_area(len(program.calls), cap))
            ledger = self._ledger(limits)
            base, began = jailed.usage(), time.monotonic()
            self._say_go()
            meanwhile()
            broken, peak = self._watch(jailed, limits, base, began, ledger=ledger)
            self._jailed = None
            total, wall_s = jailed.end(), time.monotonic() - began
            account = ledger.close() if ledger else NOTHING_USED
            if account.oom_kills:
                broken = "memory"
            # What is killed in a jail is never waited for, so its time is only in the last look at it.
            base = self._files.boot(base)
            most = max(total, peak, key=lambda each: each.cpu_s)
            used = Usage(
                cpu_s=max(0.0, most.cpu_s - base.cpu_s),
                system_s=max(0.0, most.system_s - base.system_s),
                max_rss_mb=max(
                    total.max_rss_mb,
                    peak.max_rss_mb,
                    self._files.max_rss_mb(),
                    account.peak_bytes / allowed.MEBIBYTE,
                ),
            )
            self.artefact = os.pread(self._files.answers, artefact_bytes, 0)
            seen = self._evidence(jailed, used, broken, wall_s)
            return self._result(seen, program, limits)
        finally:
            self.close()

    def close(self) -> None:
        """End the process if it still waits; idempotent."""
        if self._jailed is not None:
            self._jailed.end()
            self._jailed = None
        if self._groups and self._group:
            self._groups.give_back(self._group)
            self._group = None
        self._files.close()

    def _ledger(self, limits: Limits) -> Ledger | None:
        if self._group is None:
            return None
        memory_bytes = limits.memory_mb * allowed.MEBIBYTE + _SLACK_BYTES
        return Ledger(self._group, memory_bytes=memory_bytes, processes=limits.processes)

    def _watch(
        self, jailed: Jailed, limits: Limits, base: Usage, began: float, *, ledger: Ledger | None
    ) -> tuple[Broken, Usage]:
        """Wait for the end of a program; the limit that it broke before that, if any, and the most it used."""
        deadline, peak, tick_s = began + limits.wall_s, base, _FIRST_TICK_S if self._direct else _TICK_S
        while not jailed.wait(min(tick_s, deadline - time.monotonic())):
            now, tick_s = jailed.usage(), min(_TICK_S, 2 * tick_s)
            peak = Usage(
                cpu_s=max(peak.cpu_s, now.cpu_s),
                system_s=max(peak.system_s, now.system_s),
                max_rss_mb=max(peak.max_rss_mb, now.max_rss_mb),
            )
            if time.monotonic() >= deadline:
                return "wall", peak
            if ledger and ledger.has_killed():
                return "memory", peak  # what is left may wait for ever for what was ended
            broken = self._overdrawn(jailed, now, self._files.boot(base), limits)
            if broken:
                return broken, peak
        return "", peak

    def _overdrawn(self, jailed: Jailed, now: Usage, base: Usage, limits: Limits) -> Broken:
        if now.cpu_s - base.cpu_s > limits.cpu_s:
            return "cpu"
        if now.max_rss_mb - base.max_rss_mb > limits.memory_mb:
            return "memory"
        # Until the harness speaks, its /tmp may still be the machine's.
        is_jailed = not self._direct and self._stage() != Stage.STARTED
        if is_jailed and _files_in_tmp(jailed) > allowed.bounds(limits).tmp_inodes:
            return "memory"  # even empty files take some of the machine's
        return ""

    def _stage(self) -> int:
        return os.pread(self._files.stage, 1, 0)[0]

    def _say_go(self) -> None:
        with suppress(BrokenPipeError):
            os.write(self._files.go, b"\n")

    def _evidence(self, jailed: Jailed, used: Usage, broken: Broken, wall_s: float) -> Evidence:
        code = self._files.exit_code()
        if code is None:
            code = jailed.exit_code or 0
            if not self._direct and code - 128 in _FATAL:
                # bubblewrap tells a signal as 128 + its number; such an exit code looks the same.
                code = 128 - code
        return Evidence(
            stage=self._stage(),
            broken=broken,
            exit_code=code if code >= 0 else None,
            signal=-code if code < 0 else None,
            stdout_bytes=os.fstat(self._files.stdout).st_size,
            stderr_bytes=os.fstat(self._files.stderr).st_size,
            cpu_s=used.cpu_s,
            system_s=used.system_s,
            wall_s=wall_s,
            max_rss_mb=used.max_rss_mb,
        )

    def _result(self, seen: Evidence, program: Program, limits: Limits) -> RunResult:
        cap = limits.output_kb * 1024
        if seen.stage not in (Stage.CONFINED, Stage.COMPILED):
            reason = (
                log_tail(self._files.stderr) or f"the process ended with {seen.exit_code} before it started"
            )
            return internal(reason, self._conditions)
        stdout, stderr = (os.pread(fd, cap, 0) for fd in (self._files.stdout, self._files.stderr))
        area = os.pread(self._files.answers, allowed.MAX_ANSWER_AREA, 0)
        returns = read_answers(area, len(program.calls), cap)
        return verdict(seen, limits, Streams(stdout=stdout, stderr=stderr, returns=returns), self._conditions)


def _files_in_tmp(jailed: Jailed) -> int:
    """How many files lie in /tmp of a jail, which bubblewrap bounds in bytes only."""
    with suppress(OSError):
        tmp = os.statvfs(f"/proc/{jailed.inside}/root/tmp")
        return tmp.f_files - tmp.f_ffree
    return 0


class ColdPython:
    """A fresh Python per program: for machines on which the fork-server cannot run."""

    def __init__(self, jailer: Jailer, engine: Engine, *, library: Library = EMPTY) -> None:
        self._jailer, self._engine, self._library = jailer, engine, library
        self._groups = Groups()
        layers = jailer.layers(*self._groups.layers)
        self._conditions = Conditions(rung=jailer.rung, layers=layers, engine="cpython")

    def alive(self) -> str:
        """There is nothing to lose between two programs."""
        return f"python:{self._conditions.rung}"

    def run(self, program: Program, limits: Limits) -> RunResult:
        """Starts, runs and ends one interpreter."""
        # In a jail its first process, bubblewrap's, counts as well.
        own = 0 if self._jailer.is_direct else 1
        bounds = allowed.bounds(limits, processes=self._jailer.processes(limits.processes + own))
        try:
            process = OneShot(
                self._jailer,
                self._conditions,
                lambda files: self._launch(files, bounds.tmp_bytes),
                groups=self._groups,
            )
        except SandboxError as error:
            return internal(error.message, self._conditions)
        return process.run(program, limits, pack_request(program, bounds))

    def close(self) -> None:
        """No process outlives a run."""
        self._groups.close()

    def _launch(self, files: Files, tmp_bytes: int) -> Launch:
        path = str(_PROGRAM_PY) if self._jailer.bare else "/sbx/program.py"
        options = ("-s", "-P", "-S", "-B", "-X", "utf8")
        script = (path, *map(str, files.harness), *self._library.modules)
        environment = {"PYTHONHASHSEED": "0"}
        if self._library.modules:
            environment["PYTHONPATH"] = ":".join(self._library.folders()) if self._jailer.bare else INSIDE
        return Launch(
            engine=self._engine,
            command=(self._engine.path, *options, *script),
            files={"/sbx/program.py": _PROGRAM_PY.read_bytes()} | self._library.files(),
            filter=filters.whole(),
            environment=environment,
            stdin=files.stdin,
            stdout=files.stdout,
            stderr=files.stderr,
            inherit=files.harness,
            tmp_bytes=tmp_bytes,
        )
