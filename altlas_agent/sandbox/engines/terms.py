"""The process that computes the terms of one LODA program: told what by its parent, ends with it."""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
from itertools import count, islice
from typing import TYPE_CHECKING, TypedDict

from altlas_agent.languages.loda import LodaSyntaxError, Program, parse
from altlas_agent.languages.loda_machine import LodaError, Machine, decimal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

FIRST_TERMS = 10
_CONFINED, _COMPILED, _BOOT_AT = 1, 2, 16


class Job(TypedDict):
    """What is asked; `arguments` is None for the first terms, and what is asked by `calls` is answered apart."""

    code: str
    arguments: list[int] | None
    calls: bool
    uid: int
    cpu_hard_s: int
    address_bytes: int
    file_bytes: int
    answer_bytes: int


def main(go: int, request_fd: int, stage_fd: int, answers_fd: int) -> int:
    """Wait for the word to go, then compute; the exit code is 1 where a term has no value."""
    os.read(go, 1)
    job: Job = json.loads(os.pread(request_fd, os.fstat(request_fd).st_size, 0))
    _confine(job)
    own = resource.getrusage(resource.RUSAGE_SELF)
    os.pwrite(stage_fd, struct.pack("<dd", own.ru_utime + own.ru_stime, own.ru_stime), _BOOT_AT)
    os.pwrite(stage_fd, bytes([_CONFINED]), 0)
    try:
        program = parse(job["code"])
    except LodaSyntaxError as error:
        return _fail(error.message)
    os.pwrite(stage_fd, bytes([_COMPILED]), 0)
    if job["calls"]:
        return _answer(program, job["arguments"] or [], answers_fd, most_bytes=job["answer_bytes"])
    return _write(program, job["arguments"])


def _confine(job: Job) -> None:
    """No rights, no further process, and no more of anything than is allowed."""
    with open("/proc/self/statm", encoding="ascii") as opened:
        own_bytes = int(opened.read().split()[0]) * resource.getpagesize()
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(job["uid"], job["uid"], job["uid"])
        os.setresuid(job["uid"], job["uid"], job["uid"])
    for kind, value in (
        (resource.RLIMIT_CPU, job["cpu_hard_s"]),
        (resource.RLIMIT_AS, job["address_bytes"] + own_bytes),
        (resource.RLIMIT_FSIZE, job["file_bytes"]),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))


def _write(program: Program, arguments: Sequence[int] | None) -> int:
    """A term a line, up to the first that has none."""
    first: Iterable[int] = islice(count(program.offset), FIRST_TERMS)
    machine = Machine()
    for argument in first if arguments is None else arguments:
        try:
            sys.stdout.write(f"{decimal(machine.term(program, argument)[0])}\n")
        except LodaError as error:
            return _fail(f"n = {argument}: {error.message}")
    return 0


def _answer(program: Program, arguments: Sequence[int], answers_fd: int, *, most_bytes: int) -> int:
    """A JSON text per call behind its length; one without a term has length 0. The first failure is told."""
    exit_code, answers, machine = 0, b"", Machine()
    for argument in arguments:
        try:
            text = decimal(machine.term(program, argument)[0]).encode()
        except LodaError as error:
            text, exit_code = b"", exit_code or _fail(f"n = {argument}: {error.message}")
        text = text if len(text) <= most_bytes else b""
        answers += struct.pack("<I", len(text)) + text
    os.pwrite(answers_fd, struct.pack("<I", 4 + len(answers)) + answers, 0)
    return exit_code


def _fail(message: str) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"{message}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(*map(int, sys.argv[1:5])))
