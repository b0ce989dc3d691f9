"""Starts one command inside a jail and tells exactly how it ended; standard library only.

It is the first process of its jail, so nothing in there can kill it. What it started shares none of
its descriptors; when that has ended, it ends, and with it everything else in the jail.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import struct
import sys
from typing import NoReturn, TypedDict

COMPILED = 2
ENDED_AT, BOOT_AT, PEAK_AT = 8, 16, 32
FAILURE_FD = 3
MOST_FDS = 1 << 20


class Job(TypedDict):
    """The header of a request; behind it lie the files, one after the other."""

    folder: str
    files: list[tuple[str, int, int]]
    """Name, mode and size."""
    command: list[str]
    artefact: str
    """The file that the command makes, "" for none."""
    artefact_bytes: int
    cpu_hard_s: int
    address_bytes: int
    file_bytes: int
    open_files: int
    processes: int


def main(go: int, request_fd: int, stage_fd: int, answers_fd: int) -> NoReturn:
    """Wait for the word to go, then run the one command."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # which the first process of a jail never gets
    os.read(go, 1)
    text = os.pread(request_fd, os.fstat(request_fd).st_size, 0)
    (size,) = struct.unpack_from("!I", text)
    job: Job = json.loads(text[4 : 4 + size])
    write_files(job, text[4 + size :])
    own = resource.getrusage(resource.RUSAGE_SELF)
    os.pwrite(stage_fd, struct.pack("<dd", own.ru_utime + own.ru_stime, own.ru_stime), BOOT_AT)
    os.pwrite(stage_fd, bytes([COMPILED]), 0)
    failure, status = run(job)
    if failure:
        os.pwrite(stage_fd, b"\0", 0)
        os.write(2, failure)
        os._exit(70)
    if job["artefact"] and status == 0:
        hand_out(job, answers_fd)
    peak_kb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    os.pwrite(stage_fd, struct.pack("<Q", peak_kb), PEAK_AT)
    os.pwrite(stage_fd, struct.pack("<II", 1, status), ENDED_AT)
    os._exit(0)


def write_files(job: Job, body: bytes) -> None:
    """What the command finds in its folder."""
    os.chdir(job["folder"])
    for name, mode, size in job["files"]:
        fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(fd, "wb") as opened:
            opened.write(body[:size])
        body = body[size:]


def run(job: Job) -> tuple[bytes, int]:
    """Why the command could not be started, or how it ended: its wait status."""
    listening, failure_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        become(job, failure_fd)
    os.close(failure_fd)
    failure = os.read(listening, 1000)
    while True:
        ended, status = os.waitpid(-1, 0)
        if ended == pid:
            return failure, status


def become(job: Job, failure_fd: int) -> NoReturn:
    """Put on the limits and turn into the command."""
    try:
        if failure_fd != FAILURE_FD:
            os.dup2(failure_fd, FAILURE_FD, inheritable=False)
        os.closerange(FAILURE_FD + 1, MOST_FDS)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        limit(job)
        environment = {name: text for name, text in os.environ.items() if name != "PWD"}
        os.execve(job["command"][0], job["command"], environment)
    except BaseException as error:  # noqa: BLE001 - told to the one that waits, who tells the worker
        os.write(FAILURE_FD, f"{type(error).__name__}: {error}".encode(errors="replace")[:900])
    os._exit(71)


def limit(job: Job) -> None:
    """The limits of the kernel; 0 sets none."""
    for kind, value in (
        (resource.RLIMIT_CPU, job["cpu_hard_s"]),
        (resource.RLIMIT_AS, job["address_bytes"]),
        (resource.RLIMIT_FSIZE, job["file_bytes"]),
        (resource.RLIMIT_NOFILE, job["open_files"]),
        (resource.RLIMIT_NPROC, job["processes"]),
    ):
        if value:
            resource.setrlimit(kind, (value, value))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def hand_out(job: Job, answers_fd: int) -> None:
    """Copy what the command made, if it is a plain file; of one that is too large, a byte too much."""
    try:
        fd = os.open(job["artefact"], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        return
    left = job["artefact_bytes"] + 1
    while left > 0 and (part := os.read(fd, min(left, 1 << 20))):
        os.write(answers_fd, part)
        left -= len(part)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:5]))
