"""CPU, memory, wall time, files and processes allowed to one run."""

from __future__ import annotations

import math
from typing import TypeVar

import msgspec

from altlas_agent.core.records import Limits

Number = TypeVar("Number", int, float)

CEILINGS = Limits(
    cpu_s=10.0, wall_s=30.0, memory_mb=1024, output_kb=1024, processes=64, tmp_mb=256, files=256
)
FLOORS = Limits(cpu_s=0.01, wall_s=0.01, memory_mb=16, output_kb=1, processes=1, tmp_mb=1, files=16)

MEBIBYTE = 1024 * 1024
MAX_ANSWER_AREA = 4 * MEBIBYTE
_MIN_FILE_BYTES = MEBIBYTE
_FILES_PER_OPEN_ONE = 16


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of one run in the units the kernel wants; travels into the jail as JSON.

    `processes` counts the program and all its descendants and threads; 0 leaves them unbounded.
    A file may be larger than the output that is kept, and the addresses of a process more than its
    memory, so that too much of either is seen as such by the watcher and not as a strange error inside.
    """

    cpu_s: float
    wall_s: float
    memory_bytes: int
    address_bytes: int
    output_bytes: int
    file_bytes: int
    processes: int = 16
    open_files: int = 64
    tmp_bytes: int = 32 * MEBIBYTE
    tmp_inodes: int = 1024
    shm_bytes: int = 16 * MEBIBYTE
    shm_inodes: int = 256

    @property
    def cpu_hard_s(self) -> int:
        """When the kernel itself ends a process: after the watcher, which is exact, had its chance."""
        return math.ceil(self.cpu_s) + 1


def clamp(limits: Limits, ceilings: Limits = CEILINGS) -> Limits:
    """What a task asks for, but never more than the ceilings and never nothing at all."""
    return Limits(
        cpu_s=_between(FLOORS.cpu_s, limits.cpu_s, ceilings.cpu_s),
        wall_s=_between(FLOORS.wall_s, limits.wall_s, ceilings.wall_s),
        memory_mb=_between(FLOORS.memory_mb, limits.memory_mb, ceilings.memory_mb),
        output_kb=_between(FLOORS.output_kb, limits.output_kb, ceilings.output_kb),
        processes=_between(FLOORS.processes, limits.processes, ceilings.processes),
        tmp_mb=_between(FLOORS.tmp_mb, limits.tmp_mb, ceilings.tmp_mb),
        files=_between(FLOORS.files, limits.files, ceilings.files),
    )


def bounds(limits: Limits, *, processes: int | None = None) -> Bounds:
    """The kernel's numbers for limits that have been clamped; `processes` is the jail's, if it differs."""
    output_bytes = limits.output_kb * 1024
    return Bounds(
        cpu_s=limits.cpu_s,
        wall_s=limits.wall_s,
        memory_bytes=limits.memory_mb * MEBIBYTE,
        address_bytes=limits.memory_mb * MEBIBYTE * 3 // 2,
        output_bytes=output_bytes,
        file_bytes=max(_MIN_FILE_BYTES, 2 * output_bytes),
        processes=limits.processes if processes is None else processes,
        open_files=limits.files,
        tmp_bytes=limits.tmp_mb * MEBIBYTE,
        tmp_inodes=_FILES_PER_OPEN_ONE * limits.files,
    )


def answer_area(calls: int, output_bytes: int) -> int:
    """How many bytes the answers to so many calls may take together; 0 without calls."""
    return min(MAX_ANSWER_AREA, 4 + calls * (4 + output_bytes)) if calls else 0


def _between(floor: Number, value: Number, ceiling: Number) -> Number:
    # In this order a NaN becomes the ceiling.
    return max(floor, min(ceiling, value))
