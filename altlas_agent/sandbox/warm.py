"""The warm runner: one request to the fork-server per program; every field of the answer is hostile."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import struct
import time
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from altlas_agent.core.errors import SandboxError, boundary
from altlas_agent.sandbox import filters
from altlas_agent.sandbox import limits as allowed
from altlas_agent.sandbox.inside.program import NUMBERS
from altlas_agent.sandbox.jail import Jailer, Launch
from altlas_agent.sandbox.library import EMPTY, Library
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
from altlas_agent.sandbox.walls import cgroup as cgroups
from altlas_agent.sandbox.walls.groups import joining
from altlas_agent.sandbox.walls.helper import LAYER, helper
from altlas_agent.sandbox.walls.processes import children, log_tail, spare

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.core.records import Limits, Program, RunResult
    from altlas_agent.sandbox.engines.interpreters import Engine
    from altlas_agent.sandbox.walls.cgroup import Cgroup

FULL, WITHOUT_CGROUP = "zygote-full", "zygote-no-cgroup"
GRACE_S = 2.0
"""How much longer than the wall limit the worker waits before it gives up the whole slot."""

_START_TIMEOUT_S = 15.0
_MAX_FAULT_BYTES = 400
_LIKELY_BYTES = 1 << 14
_TICK_S = 0.05
_SLACK_BYTES, _OWN_PIDS = 8 * allowed.MEBIBYTE, 16
_OWN_CPU_S = 0.02
"""More than the fork-server itself takes for one program, whose account is that of the whole slot."""
_INSIDE = ("kernel", "looking", "native", "program", "root", "tracer", "warmup")
_HERE = Path(__file__).parent

_STARVED = Evidence(stage=Stage.COMPILED, broken="memory", signal=signal.SIGKILL)
"""What is known of a program when the kernel, out of memory, ended the fork-server itself."""

BROKEN: tuple[Broken, ...] = ("", "wall", "cpu", "memory")
REPLY = "@13q"

Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]


class Reply(msgspec.Struct, frozen=True, array_like=True):
    """What the fork-server answers, checked; `sizes` are those of the streams that follow."""

    stage: Annotated[int, msgspec.Meta(ge=0, le=2)]
    status: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
    broken: Annotated[int, msgspec.Meta(ge=0, lt=len(BROKEN))]
    wall_us: Count
    cpu_us: Count
    system_us: Count
    max_rss_kb: Count
    stdout_bytes: Count
    stderr_bytes: Count
    sizes: tuple[Count, Count, Count, Count]


def pack_request(program: Program, bounds: allowed.Bounds) -> bytes:
    """What a Python harness reads: numbers, then source, standard input, entry and calls."""
    body = (
        program.code.encode(),
        program.stdin.encode(),
        program.entry.encode(),
        msgspec.json.encode(program.calls) if program.calls else b"",
    )
    area = allowed.answer_area(len(program.calls), bounds.output_bytes)
    times = (round(bounds.cpu_s * 1e6), bounds.cpu_hard_s, round(bounds.wall_s * 1e6))
    sizes = (bounds.memory_bytes, bounds.address_bytes, bounds.output_bytes, bounds.file_bytes)
    counts = (bounds.processes, bounds.open_files)
    places = (bounds.tmp_bytes, bounds.tmp_inodes, bounds.shm_bytes, bounds.shm_inodes)
    return struct.pack(NUMBERS, *map(len, body), area, *times, *sizes, *counts, *places) + b"".join(body)


class Control:
    """Our end of the socket to a fork-server, which may lie, stall or vanish."""

    def __init__(self, ours: socket.socket, on_tick: Callable[[], object] | None = None) -> None:
        """`on_tick` is called again and again while an answer takes long."""
        self._socket, self._on_tick = ours, on_tick
        # The kernel's own deadlines: those of Python ask it twice, before each call and by it.
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _timeval(GRACE_S))
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _timeval(_TICK_S))

    def await_ready(self) -> bool:
        """Whether it starts programs by the compiled helper.

        Raises SandboxError when the fork-server does not say that it is ready.
        """
        said = self._receive(1, time.monotonic() + _START_TIMEOUT_S)
        if said not in (b"C", b"P"):
            raise SandboxError("the fork-server said something else than that it is ready")
        return said == b"C"

    def ask(self, request: bytes, bounds: allowed.Bounds) -> tuple[str, Evidence, list[bytes]]:
        """A fault if there was one, what was measured, and output, errors and answers.

        Raises OSError, ValueError or SandboxError for anything but a proper answer in time.
        """
        deadline = time.monotonic() + bounds.wall_s + GRACE_S
        self._socket.sendall(request)
        head = struct.calcsize(REPLY)
        text = self._receive(head, deadline, room=_LIKELY_BYTES)
        numbers = struct.unpack_from(REPLY, text)
        reply = msgspec.convert((*numbers[:9], numbers[9:]), Reply)
        caps = (_MAX_FAULT_BYTES, bounds.output_bytes, bounds.output_bytes, allowed.MAX_ANSWER_AREA)
        if any(size > cap for size, cap in zip(reply.sizes, caps, strict=True)):
            raise ValueError("a stream of an answer is too large")
        text = text[head:] + self._receive(sum(reply.sizes) - len(text) + head, deadline)
        if len(text) != sum(reply.sizes):
            raise ValueError("more than one answer")
        ends = list(itertools.accumulate(reply.sizes, initial=0))
        streams = [text[begin:end] for begin, end in itertools.pairwise(ends)]
        return streams[0].decode(errors="replace"), _evidence(reply), streams[1:]

    def close(self) -> None:
        """The fork-server ends when it sees this."""
        self._socket.close()

    def _receive(self, size: int, deadline: float, *, room: int = 0) -> bytes:
        """At least `size` bytes; what came with them too, where there is room for it."""
        parts: list[bytes] = []
        while size > 0:
            part = self._part(max(room, min(size, 1 << 16)), deadline)
            if not part:
                raise SandboxError("the fork-server has ended")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _part(self, size: int, deadline: float) -> bytes:
        while True:
            try:
                return self._socket.recv(size)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise TimeoutError("the fork-server did not answer in time") from None
                if self._on_tick:
                    self._on_tick()


def _timeval(seconds: float) -> bytes:
    return struct.pack("@ll", int(seconds), round(seconds % 1 * 1e6))


class ForkServer:
    """A warm interpreter in a jail that forks one child per program."""

    def __init__(
        self,
        jailer: Jailer,
        engine: Engine,
        *,
        cgroup: Cgroup | None = None,
        compiled: bool = True,
        library: Library = EMPTY,
    ) -> None:
        """Raises SandboxError when the jail cannot be built or the interpreter does not come up in it.

        `cgroup` becomes ours. Without `compiled`, programs are started by Python alone, as where there is
        no C compiler.
        """
        self._cgroup = cgroup
        self._open = False
        self._log = os.memfd_create("log")
        ours, theirs = socket.socketpair()
        self._control = Control(ours, self._end_without_memory if cgroup else None)
        try:
            with closing(theirs):
                native = helper() if compiled else b""
                launch = _launch(engine, theirs.fileno(), self._log, native=native, library=library)
                with joining(launch, cgroup) as joined:
                    self._jailed = jailer.start(joined)
            self._open = True
            with boundary(SandboxError, "starting the fork-server"):
                native_works = self._control.await_ready()
                self._own_bytes = self._settled_bytes()
            spare(self._jailed.inside)
        except SandboxError as error:
            reason = log_tail(self._log)
            self.close()
            raise SandboxError(f"{error.message} ({reason})" if reason else error.message) from error
        extra = [name for name, on in ((cgroups.LAYER, cgroup), (LAYER, native_works)) if on]
        layers = jailer.layers("tmpfs-per-program", "pid-ns-per-program", *extra)
        self._conditions = Conditions(
            rung=FULL if cgroup else WITHOUT_CGROUP, layers=layers, engine="cpython"
        )

    def alive(self) -> str:
        """The pid of the jail as seen from here, or "" once the slot is lost."""
        if self._open and not self._jailed.is_running():
            self.close()
        return f"python:{self._jailed.inside}" if self._open else ""

    def run(self, program: Program, limits: Limits) -> RunResult:
        """A slot that answers late, wrongly or not at all is closed, and the run is INTERNAL."""
        if not self._open:
            return internal("the slot is gone", self._conditions)
        bounds = allowed.bounds(limits)
        try:
            self._open_account(bounds)
            fault, seen, streams = self._control.ask(pack_request(program, bounds), bounds)
            seen = self._settle(seen, bounds)
        except (OSError, ValueError, SandboxError) as error:
            reason = f"{error or type(error).__name__} {log_tail(self._log)}"
            left = Streams(stdout=b"", stderr=b"", returns=("",) * len(program.calls))
            starved = bool(self._cgroup and self._cgroup.has_killed())
            self.close()
            # A program that drew the fork-server into its want of memory is no fault of the sandbox.
            return (
                verdict(_STARVED, limits, left, self._conditions)
                if starved
                else internal(reason, self._conditions)
            )
        if fault:
            return internal(fault, self._conditions)
        returns = read_answers(streams[2], len(program.calls), bounds.output_bytes)
        left = Streams(stdout=streams[0], stderr=streams[1], returns=returns)
        return verdict(seen, limits, left, self._conditions)

    def _settled_bytes(self) -> int:
        """What the fork-server itself holds; from now on every account is that of a program."""
        if not self._cgroup:
            return 0
        self._cgroup.account()
        return self._cgroup.usage_bytes()

    def _open_account(self, bounds: allowed.Bounds) -> None:
        if self._cgroup:
            room = bounds.memory_bytes
            if self._cgroup.tells_peaks:
                # What is killed keeps its files for longer than its memory: if they alone could fill the
                # group, the fork-server would be next. Whether they were too many shows in the peak.
                room = max(room, bounds.tmp_bytes + bounds.shm_bytes)
            self._cgroup.limit(self._own_bytes + room + _SLACK_BYTES, bounds.processes + _OWN_PIDS)

    def _end_without_memory(self) -> None:
        """The kernel ended a part of the program: what is left of it may wait for that part for ever."""
        if not self._open or not self._cgroup or not self._cgroup.has_killed():
            return
        with suppress(OSError):
            for server in children(self._jailed.inside):
                for pid in children(server):
                    os.kill(pid, signal.SIGKILL)

    def _settle(self, seen: Evidence, bounds: allowed.Bounds) -> Evidence:
        """What the kernel's accounts add: an end for want of memory, all CPU time, the peak with its files."""
        if not self._cgroup:
            return seen
        used = self._cgroup.account()
        cpu_s = max(seen.cpu_s, used.cpu_s - _OWN_CPU_S)
        peak_mb = (used.peak_bytes - self._own_bytes) / allowed.MEBIBYTE
        broken = seen.broken
        if used.oom_kills:
            broken = "memory"  # also at the deadline: that was only waiting for what had been killed
        if not broken and _is_too_much(self._cgroup, used.peak_bytes, bounds):
            broken = "memory"
        if not broken and cpu_s > bounds.cpu_s:
            broken = "cpu"
        return replace(seen, broken=broken, cpu_s=cpu_s, max_rss_mb=max(seen.max_rss_mb, peak_mb))

    def close(self) -> None:
        """End the jail and everything in it."""
        self._control.close()
        if self._open:
            self._open = False
            self._jailed.end()
        if self._cgroup:
            self._cgroup.close()
        if self._log >= 0:
            os.close(self._log)
            self._log = -1


def _is_too_much(cgroup: Cgroup, peak_bytes: int, bounds: allowed.Bounds) -> bool:
    """Whether program and files together were larger than allowed; what was read from a disk is still there."""
    most = bounds.memory_bytes + _SLACK_BYTES
    return peak_bytes > most and peak_bytes - cgroup.usage_bytes() > most


def _launch(engine: Engine, control: int, log: int, *, native: bytes, library: Library) -> Launch:
    folder = "/sbx/altlas_agent/sandbox"
    files = {
        f"{folder}/{name}": (_HERE / name).read_bytes()
        for name in ("zygote.py", *(f"inside/{module}.py" for module in _INSIDE))
    } | library.files()
    if filters.supported():
        files["/sbx/filter"] = filters.inner()
    if native:
        files["/sbx/server.so"] = native
    script = (f"{folder}/zygote.py", str(control), " ".join(library.modules))
    return Launch(
        engine=engine,
        command=(engine.path, "-s", "-P", "-S", "-X", "utf8", *script, *engine.folders),
        files=files,
        filter=filters.outer(),
        environment={"PYTHONPATH": "/sbx", "PYTHONHASHSEED": "0", "LD_BIND_NOW": "1"},
        stderr=log,
        inherit=(control,),
        serves=True,
    )


def _evidence(reply: Reply) -> Evidence:
    code = os.waitstatus_to_exitcode(reply.status)
    return Evidence(
        stage=reply.stage,
        broken=BROKEN[reply.broken],
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        stdout_bytes=reply.stdout_bytes,
        stderr_bytes=reply.stderr_bytes,
        cpu_s=reply.cpu_us / 1e6,
        system_s=reply.system_us / 1e6,
        wall_s=reply.wall_us / 1e6,
        max_rss_mb=reply.max_rss_kb / 1024,
    )
