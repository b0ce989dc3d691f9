"""The warm runner: one request to the fork-server per program; every field of the answer is hostile."""

from __future__ import annotations

import os
import socket
import struct
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from altlas_agent.core.errors import SandboxError, boundary
from altlas_agent.sandbox import filters
from altlas_agent.sandbox import limits as allowed
from altlas_agent.sandbox.jail import Engine, Jailer, Launch, log_tail
from altlas_agent.sandbox.runner import Broken, Conditions, Evidence, Streams, internal, read_answers, verdict

if TYPE_CHECKING:
    from altlas_agent.core.records import Limits, Program, RunResult

RUNG = "zygote-no-cgroup"
GRACE_S = 2.0
"""How much longer than the wall limit the worker waits before it gives up the whole slot."""

_START_TIMEOUT_S = 15.0
_MAX_HEADER_BYTES = 4096
_HERE = Path(__file__).parent

Count = Annotated[int, msgspec.Meta(ge=0, le=2**40)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=10**6)]


class Reply(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The header of what the fork-server answers; `sizes` are those of the streams that follow."""

    fault: str = ""
    stage: Annotated[int, msgspec.Meta(ge=0, le=2)] = 0
    status: Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)] = 0
    broken: Broken = ""
    wall_s: Seconds = 0.0
    cpu_s: Seconds = 0.0
    system_s: Seconds = 0.0
    max_rss_kb: Count = 0
    stdout_bytes: Count = 0
    stderr_bytes: Count = 0
    sizes: tuple[Count, Count, Count] = (0, 0, 0)


def pack_request(program: Program, bounds: allowed.Bounds) -> bytes:
    """What a Python harness reads: two lengths, a header, then source, standard input and calls."""
    source, stdin, calls = program.code.encode(), program.stdin.encode(), msgspec.json.encode(program.calls)
    header = msgspec.to_builtins(bounds) | {
        "source": len(source),
        "stdin": len(stdin),
        "entry": program.entry,
        "cpu_hard_s": bounds.cpu_hard_s,
        "answer_area": allowed.answer_area(len(program.calls), bounds.output_bytes),
    }
    text = msgspec.json.encode(header)
    return (
        struct.pack("!II", len(text), len(source) + len(stdin) + len(calls)) + text + source + stdin + calls
    )


class Control:
    """Our end of the socket to a fork-server, which may lie, stall or vanish."""

    def __init__(self, ours: socket.socket) -> None:
        self._socket = ours

    def await_ready(self) -> None:
        """Raises SandboxError when the fork-server does not say that it is ready."""
        if self._receive(1, time.monotonic() + _START_TIMEOUT_S) != b"R":
            raise SandboxError("the fork-server said something else than that it is ready")

    def ask(self, request: bytes, bounds: allowed.Bounds) -> tuple[Reply, Evidence, list[bytes]]:
        """Raises OSError, ValueError or SandboxError for anything but a proper answer in time."""
        deadline = time.monotonic() + bounds.wall_s + GRACE_S
        self._socket.settimeout(GRACE_S)
        self._socket.sendall(request)
        (size,) = struct.unpack("!I", self._receive(4, deadline))
        if size > _MAX_HEADER_BYTES:
            raise ValueError("the header of an answer is too large")
        reply = msgspec.json.decode(self._receive(size, deadline), type=Reply)
        caps = (bounds.output_bytes, bounds.output_bytes, allowed.MAX_ANSWER_AREA)
        if any(size > cap for size, cap in zip(reply.sizes, caps, strict=True)):
            raise ValueError("a stream of an answer is too large")
        return reply, _evidence(reply), [self._receive(size, deadline) for size in reply.sizes]

    def close(self) -> None:
        """The fork-server ends when it sees this."""
        self._socket.close()

    def _receive(self, size: int, deadline: float) -> bytes:
        parts: list[bytes] = []
        while size:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            part = self._socket.recv(min(size, 1 << 16))
            if not part:
                raise SandboxError("the fork-server has ended")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


class ForkServer:
    """A warm interpreter in a jail that forks one child per program."""

    def __init__(self, jailer: Jailer, engine: Engine) -> None:
        """Raises SandboxError when the jail cannot be built or the interpreter does not come up in it."""
        layers = jailer.layers("tmpfs-per-program", "pid-ns-per-program")
        self._conditions = Conditions(rung=RUNG, layers=layers, engine="cpython")
        self._open = False
        self._log = os.memfd_create("log")
        ours, theirs = socket.socketpair()
        self._control = Control(ours)
        try:
            with closing(theirs):
                self._jailed = jailer.start(_launch(engine, theirs.fileno(), self._log))
            self._open = True
            with boundary(SandboxError, "starting the fork-server"):
                self._control.await_ready()
        except SandboxError as error:
            reason = log_tail(self._log)
            self.close()
            raise SandboxError(f"{error.message} ({reason})" if reason else error.message) from error

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
            reply, seen, streams = self._control.ask(pack_request(program, bounds), bounds)
        except (OSError, ValueError, SandboxError) as error:
            reason = f"{error or type(error).__name__} {log_tail(self._log)}"
            self.close()
            return internal(reason, self._conditions)
        if reply.fault:
            return internal(reply.fault, self._conditions)
        returns = read_answers(streams[2], len(program.calls), bounds.output_bytes)
        left = Streams(stdout=streams[0], stderr=streams[1], returns=returns)
        return verdict(seen, limits, left, self._conditions)

    def close(self) -> None:
        """End the jail and everything in it."""
        self._control.close()
        if self._open:
            self._open = False
            self._jailed.end()
        if self._log >= 0:
            os.close(self._log)
            self._log = -1


def _launch(engine: Engine, control: int, log: int) -> Launch:
    folder = "/sbx/altlas_agent/sandbox"
    files = {
        f"{folder}/{name}": (_HERE / name).read_bytes()
        for name in ("zygote.py", "inside/program.py", "inside/warmup.py")
    }
    if filters.supported():
        files["/sbx/filter"] = filters.inner()
    return Launch(
        engine=engine,
        command=(engine.path, "-s", "-P", "-S", "-X", "utf8", f"{folder}/zygote.py", str(control)),
        files=files,
        filter=filters.outer(),
        environment={"PYTHONPATH": "/sbx", "PYTHONHASHSEED": "0"},
        stderr=log,
        inherit=(control,),
        serves=True,
    )


def _evidence(reply: Reply) -> Evidence:
    code = os.waitstatus_to_exitcode(reply.status)
    return Evidence(
        stage=reply.stage,
        broken=reply.broken,
        exit_code=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        stdout_bytes=reply.stdout_bytes,
        stderr_bytes=reply.stderr_bytes,
        cpu_s=reply.cpu_s,
        system_s=reply.system_s,
        wall_s=reply.wall_s,
        max_rss_mb=reply.max_rss_kb / 1024,
    )
