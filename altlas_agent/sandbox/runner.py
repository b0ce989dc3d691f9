"""Runner: (program, limits) to RunResult; and how the evidence of a run becomes its status."""

from __future__ import annotations

import json
import signal
import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Literal, NoReturn, Protocol

from altlas_agent.core.records import Limits, Program, RunResult, Status

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_SOURCE_BYTES = 256 * 1024
MAX_INPUT_BYTES = 1024 * 1024
MAX_CALLS = 4096

Broken = Literal["", "wall", "cpu", "memory"]


class Runner(Protocol):
    """Runs one program at a time, whatever the rung or the language."""

    def run(self, program: Program, limits: Limits) -> RunResult:
        """Never raises for what a program does; the sandbox's own faults are `Status.INTERNAL`.

        `program` has passed `refusal` and `limits` have been clamped.
        """
        ...

    def alive(self) -> str:
        """The identity of what runs programs here, or "" when it is gone and must be replaced."""
        ...

    def close(self) -> None:
        """End every process of this runner and reap it; may be called twice."""
        ...


class Stage(IntEnum):
    """How far a child came, written by it through a channel that closes before the program starts."""

    STARTED = 0
    CONFINED = 1
    COMPILED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the parent of a program measured."""

    stage: int
    broken: Broken = ""
    exit_code: int | None = None
    signal: int | None = None
    stdout_bytes: int = 0
    stderr_bytes: int = 0
    cpu_s: float = 0.0
    system_s: float = 0.0
    """The part of `cpu_s` that the kernel used on behalf of the program."""
    wall_s: float = 0.0
    max_rss_mb: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Where a program ran: stored with every result."""

    rung: str
    layers: tuple[str, ...]
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """What a program left behind, already bounded."""

    stdout: bytes
    stderr: bytes
    returns: tuple[str, ...]


def _out_of_cpu(seen: Evidence, limits: Limits) -> bool:
    ended_by_kernel = seen.signal in (signal.SIGXCPU, signal.SIGKILL) and seen.cpu_s >= limits.cpu_s
    return seen.broken == "cpu" or ended_by_kernel


def _too_much_output(seen: Evidence, limits: Limits) -> bool:
    return max(seen.stdout_bytes, seen.stderr_bytes) > limits.output_kb * 1024


def _did_not_compile(seen: Evidence, _: Limits) -> bool:
    return seen.stage == Stage.CONFINED and not seen.broken


PRECEDENCE: tuple[tuple[Status, Callable[[Evidence, Limits], bool]], ...] = (
    (Status.INTERNAL, lambda seen, _: seen.stage == Stage.STARTED),
    (Status.COMPILE_ERROR, _did_not_compile),
    (Status.TIMEOUT, lambda seen, _: seen.broken == "wall"),
    (Status.OUTPUT_LIMIT, _too_much_output),
    (Status.MEMORY_LIMIT, lambda seen, _: seen.broken == "memory"),
    (Status.CPU_LIMIT, _out_of_cpu),
    (Status.SIGNAL, lambda seen, _: seen.signal is not None),
    (Status.ERROR, lambda seen, _: seen.exit_code != 0),
)
"""The first that holds is the status; when none does, the program succeeded."""


def classify(seen: Evidence, limits: Limits) -> Status:
    """The one status of a run, by `PRECEDENCE`."""
    return next((status for status, holds in PRECEDENCE if holds(seen, limits)), Status.SUCCESS)


def verdict(seen: Evidence, limits: Limits, streams: Streams, conditions: Conditions) -> RunResult:
    """The record of a run that took place."""
    cap = limits.output_kb * 1024
    return RunResult(
        status=classify(seen, limits),
        exit_code=seen.exit_code,
        signal=seen.signal,
        stdout=streams.stdout[:cap],
        stderr=streams.stderr[:cap],
        stdout_truncated=seen.stdout_bytes > cap,
        stderr_truncated=seen.stderr_bytes > cap,
        stdout_bytes=seen.stdout_bytes,
        stderr_bytes=seen.stderr_bytes,
        returns=streams.returns,
        cpu_s=seen.cpu_s,
        user_s=max(0.0, seen.cpu_s - seen.system_s),
        system_s=min(seen.cpu_s, seen.system_s),
        wall_s=seen.wall_s,
        max_rss_mb=seen.max_rss_mb,
        rung=conditions.rung,
        layers=conditions.layers,
        engine=conditions.engine,
    )


def internal(reason: str, conditions: Conditions) -> RunResult:
    """The record of a run that the sandbox spoilt."""
    return RunResult(
        status=Status.INTERNAL,
        stderr=f"sandbox: {reason}".encode(errors="replace"),
        rung=conditions.rung,
        layers=conditions.layers,
        engine=conditions.engine,
    )


def refused(reason: str) -> RunResult:
    """The record of a program that is not run at all."""
    return RunResult(status=Status.REFUSED, stderr=f"refused: {reason}".encode(errors="replace"))


def refusal(program: Program) -> str:
    """Why this program cannot be run by anyone, or "" when it can."""
    texts = {
        "language": program.language,
        "source": program.code,
        "standard input": program.stdin,
        "calls": "".join(program.calls),
    }
    sizes: dict[str, int] = {}
    for noun, text in texts.items():
        try:
            sizes[noun] = len(text.encode())
        except UnicodeEncodeError as error:
            return f"the {noun} cannot be encoded as UTF-8 (position {error.start})"
    if sizes["source"] > MAX_SOURCE_BYTES:
        return f"the source is longer than {MAX_SOURCE_BYTES} bytes"
    if max(sizes.values()) > MAX_INPUT_BYTES or len(program.calls) > MAX_CALLS:
        return f"the input is larger than {MAX_INPUT_BYTES} bytes or {MAX_CALLS} calls"
    return _unrunnable(program)


def _unrunnable(program: Program) -> str:
    if "\0" in program.code:
        return "the source holds a NUL byte"
    if program.calls and not program.entry:
        return "there are calls but no entry function"
    if program.entry and not program.entry.replace("$", "_").isidentifier():
        return f"the entry {program.entry!r} is no identifier"
    return ""


def read_answers(area: bytes, calls: int, cap: int) -> tuple[str, ...]:
    """One JSON text or "" per call, out of bytes that a program may have forged."""
    answers: list[str] = []
    position = 4
    for _ in range(calls):
        head = area[position : position + 4]
        size = struct.unpack("<I", head)[0] if len(head) == 4 else 0
        position += 4
        answers.append(json_text(area[position : position + size]) if 0 < size <= cap else "")
        position += size
    return tuple(answers)


def json_text(raw: bytes) -> str:
    try:
        text = raw.decode()
        json.loads(text, parse_constant=_reject)
    except (ValueError, RecursionError):
        return ""
    return text


def _reject(constant: str) -> NoReturn:
    raise ValueError(constant)
