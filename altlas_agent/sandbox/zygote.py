"""The fork-server inside the jail: one forked child per program; standard library only.

    worker                        fork-server                       per program
    request over the socket  ->   new pid namespace           ->    pid 1: sleeps, shares our memory
    waits for the reply           watches clock, CPU, memory  ->    pid 2: tmpfs, limits, filter, program
    reply over the socket    <-   kills pid 1, and with it all, then reads what was left behind

Where inside/server.c could be compiled, it takes the way from a request to its reply for every program
that ends within a tick; `serve_alone` and all below it do the same without it: change both.

It never compiles or runs program text itself. The child tells how far it came through a page of
memory that it unmaps before the program starts: exit codes are the program's to choose.
"""

from __future__ import annotations

import ctypes
import importlib
import mmap
import os
import platform
import signal
import socket
import struct
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, NoReturn

from altlas_agent.sandbox.inside.kernel import (
    CAPABILITY_HEADER,
    CLONE_CALL,
    CLOSE_RANGE_CALL,
    DIE_WITH_PARENT,
    DUMPABLE,
    GIVE_PIDFD,
    NEW_IPC,
    NEW_NS,
    NEW_PID,
    NEW_USER,
    NO_CAPABILITIES,
    NO_DEV,
    NO_NEW_PRIVS,
    NO_SUID,
    PRIVATE,
    SECCOMP,
    SHARE_FILES,
    SHARE_MEMORY,
    TREE,
    capset,
    check,
    clone,
    mount,
    mount_memory,
    pause,
    prctl,
    setns,
    syscall,
    unshare,
)
from altlas_agent.sandbox.inside.looking import Look, watch
from altlas_agent.sandbox.inside.native import CALLS, FINISH, SLOW, Native, load
from altlas_agent.sandbox.inside.program import (
    NUMBERS,
    Job,
    Request,
    answer,
    end_process,
    exit_code_of,
    finish,
    limit,
    look_normal,
    run_program,
)
from altlas_agent.sandbox.inside.root import move_to_small_root
from altlas_agent.sandbox.inside.warmup import share_page_tables, warm_up

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.sandbox.inside.program import Area

MAX_BODY_BYTES = 8 * 1024 * 1024
REPLY = "@13q"
"""`struct reply` of server.c; behind it come fault, standard output and error, answers."""
BROKEN = ("", "wall", "cpu", "memory")
PAGE = mmap.PAGESIZE
REASON, REASON_BYTES = 16, 300
"""Where in the page that a child shares with us it says why a layer is missing."""
OWN_PROCESSES = 3
"""The server, its parent and the guard count as well."""

# Plain numbers, and the module below `signal`: its enumerations cost every child a hundred page faults.
SIGINT, SIGKILL, SIGCHLD = int(signal.SIGINT), int(signal.SIGKILL), int(signal.SIGCHLD)
set_handler: Callable[[int, object], object] = importlib.import_module("_signal").signal


def main(control: int, modules: list[str], folders: list[str]) -> None:
    """Serve the socket until the worker hangs up.

    Programs find `modules` loaded; `folders` hold the interpreter, where that is not below /usr.
    """
    look_normal()
    syscall(CLOSE_RANGE_CALL, 3, control - 1, 0)
    syscall(CLOSE_RANGE_CALL, control + 1, 0x7FFFFFFF, 0)
    share_page_tables()  # before /proc/self/mem becomes root's
    enter_namespaces()
    warm_up(modules)
    library = load("/sbx/server.so")
    server = Server()
    # From here on /proc is reached only through a descriptor that no program inherits.
    move_to_small_root(folders)
    serve(server, socket.socket(fileno=control), library)


def enter_namespaces() -> None:
    """Become the first process of namespaces that we own, in which programs can make none."""
    uid, gid = os.getuid(), os.getgid()
    if uid == 0:
        raise PermissionError("the fork-server refuses to run as root")
    _write("/proc/self/oom_score_adj", "800")
    check(unshare(NEW_USER | NEW_NS | NEW_PID), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        _write(f"/proc/self/{name}", text)
    _write("/proc/sys/user/max_user_namespaces", "0")
    if child := os.fork():
        os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF)
    check(mount(b"none", b"/", None, TREE | PRIVATE, None), "private mounts")
    check(prctl(DUMPABLE, 0, 0, 0, 0), "dumpable")
    check(prctl(NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")
    # The sleeping pid 1 of a program shares our memory: no handler of ours may ever run in it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="ascii") as opened:
        opened.write(text)


class Server:
    """What is made once and used for every program."""

    def __init__(self) -> None:
        self.stage = mmap.mmap(-1, PAGE)
        self.null = os.open("/dev/null", os.O_RDONLY)
        self.home = os.pidfd_open(os.getpid())
        self.look = Look()
        self.address_bytes, self.rss_bytes = (int(n) * PAGE for n in self.look.read("self/statm").split()[:2])
        self.filter = _load_filter("/sbx/filter")
        self.clone = CLONE_CALL[platform.machine()]
        # Mappings of their own for what we write to between two programs: a page that we change may not be a huge one.
        self.stack = mmap.mmap(-1, 4 * PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.stack_top = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(self.stack)) + 4 * PAGE)
        self.sleep = ctypes.cast(pause, ctypes.c_void_p)
        self.pidfd = ctypes.c_int()


def _native(server: Server, control: int, library: ctypes.PyDLL) -> Native:
    numbers = (
        control,
        server.home,
        server.null,
        server.look.proc,
        server.address_bytes,
        server.rss_bytes,
        MAX_BODY_BYTES,
    )
    stage = ctypes.addressof(ctypes.c_char.from_buffer(server.stage))
    filter_ = server.filter[1] if server.filter else None
    return Native(
        library, numbers=numbers, filter_=filter_, stack_top=server.stack_top.value or 0, stage=stage
    )


def _load_filter(path: str) -> tuple[ctypes.Array[ctypes.c_char], ctypes.Array[ctypes.c_char]] | None:
    """The lines of a filter, kept alive, and the structure that points at them."""
    if not os.path.exists(path):
        return None
    with open(path, "rb") as opened:
        text = opened.read()
    lines = ctypes.create_string_buffer(text, len(text))
    return lines, ctypes.create_string_buffer(struct.pack("HP", len(text) // 8, ctypes.addressof(lines)))


def serve(server: Server, control: socket.socket, library: ctypes.PyDLL | None) -> None:
    """Answer requests one after the other until the worker hangs up."""
    control.sendall(b"C" if library else b"P")
    if library is None:
        return serve_alone(server, control)
    native = _native(server, control.fileno(), library)
    while _serve_quick(native) == SLOW:
        pidfd, began, request = native.slow()
        broken, cpu_s = watch(server.look, pidfd, request.job, began)
        if not native.finish(BROKEN.index(broken), cpu_s):
            return None
    return None


def _serve_quick(native: Native) -> int:
    """What the compiled loop ended with; a child never comes back from here."""
    try:
        outcome = native.serve()
    except BaseException as error:  # noqa: BLE001 - the end of a foreign program, whatever it raised
        _leave(partial(exit_code_of, error))
    if outcome == CALLS:
        _leave(lambda: answer(*native.calls()))
    if outcome == FINISH:
        _leave(lambda: 0)
    return outcome


def _leave(last: Callable[[], int]) -> NoReturn:
    try:
        finish(last())
    finally:
        end_process(71)  # whatever a program does to the way back, it must not lead into the server


def serve_alone(server: Server, control: socket.socket) -> None:
    """The same in Python."""
    while (request := receive(control)) is not None:
        try:
            reply = execute(server, request)
        except OSError as error:
            fault = f"{type(error).__name__}: {error}".encode()[:300]
            reply = struct.pack(REPLY, *[0] * 9, len(fault), 0, 0, 0) + fault
        control.sendall(reply)


def receive(control: socket.socket) -> Request | None:
    """The next request, or None at the end; raises ValueError when it is not one of ours."""
    text = _exactly(control, struct.calcsize(NUMBERS))
    if text is None:
        return None
    numbers = struct.unpack(NUMBERS, text)
    if min(numbers) < 0 or sum(numbers[:4]) > MAX_BODY_BYTES:
        raise ValueError("a request of impossible size")
    body = _exactly(control, sum(numbers[:4]))
    return None if body is None else Request(numbers, body)


def _exactly(control: socket.socket, size: int) -> bytes | None:
    text = b""
    while len(text) < size:
        part = control.recv(size - len(text))
        if not part:
            return None
        text += part
    return text


def execute(server: Server, request: Request) -> bytes:
    """Run one program to its end, and everything it started to theirs."""
    job = request.job
    server.stage[:400] = bytes(400)
    answers = mmap.mmap(-1, job["answer_area"]) if job["answer_area"] else None
    stdio = _stdin(server, request), os.memfd_create("out"), os.memfd_create("err")
    try:
        began = time.monotonic()
        guard, program = _fork(server, request, answers, stdio)
        broken, seen_cpu_s = watch(server.look, program[1], job, began)
        status, cpu_s, system_s, max_rss_kb = _sweep(guard, program)
        # Whatever dies with its namespace is never waited for: its time is only in the last look at it.
        cpu_us = round(max(cpu_s, seen_cpu_s) * 1e6)
        wall_us = round((time.monotonic() - began) * 1e6)
        sizes = [os.fstat(fd).st_size for fd in stdio[1:]]
        streams = [os.pread(fd, job["output_bytes"], 0) for fd in stdio[1:]]
    finally:
        for fd in {*stdio} - {server.null}:
            os.close(fd)
    streams = [_reason(server), *streams, _left(answers)]
    if not broken and max_rss_kb * 1024 - server.rss_bytes > job["memory_bytes"]:
        broken = "memory"
    if not broken and cpu_us > job["cpu_us"]:
        broken = "cpu"
    times = (wall_us, cpu_us, round(system_s * 1e6))
    measured = (server.stage[0], status, BROKEN.index(broken), *times, max_rss_kb)
    return struct.pack(REPLY, *measured, *sizes, *map(len, streams)) + b"".join(streams)


def _reason(server: Server) -> bytes:
    return server.stage[REASON : REASON + REASON_BYTES].rstrip(b"\0")


def _stdin(server: Server, request: Request) -> int:
    if not request.stdin:
        return server.null
    fd = os.memfd_create("stdin")
    os.write(fd, request.stdin)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _left(answers: mmap.mmap | None) -> bytes:
    if answers is None:
        return b""
    used = min(struct.unpack_from("<I", answers)[0], len(answers))
    left = answers[:used]
    answers.close()
    return left


def _fork(
    server: Server, request: Request, answers: mmap.mmap | None, stdio: tuple[int, int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Pid and pidfd of the sleeping guard (pid 1), then of the program (pid 2), so that signals are exact."""
    pidfd = server.pidfd
    check(unshare(NEW_PID), "unshare")
    flags = SHARE_MEMORY | SHARE_FILES | GIVE_PIDFD | SIGCHLD
    guard = check(clone(server.sleep, server.stack_top, flags, None, ctypes.byref(pidfd)), "clone")
    guard_pidfd = pidfd.value
    flags = NEW_NS | NEW_IPC | GIVE_PIDFD | SIGCHLD
    pid: int = syscall(server.clone, flags, 0, ctypes.byref(pidfd), 0, 0)
    if pid == 0:
        child(server, request, answers, stdio)
    number = ctypes.get_errno() if pid < 0 else 0
    check(setns(server.home, NEW_PID), "setns")
    if number:
        _give_up(guard, guard_pidfd, number)
    return (guard, guard_pidfd), (pid, pidfd.value)


def _give_up(guard: int, guard_pidfd: int, number: int) -> NoReturn:
    signal.pidfd_send_signal(guard_pidfd, SIGKILL)
    os.waitpid(guard, 0)
    os.close(guard_pidfd)
    raise OSError(number, f"clone: {os.strerror(number)}")


def _sweep(guard: tuple[int, int], program: tuple[int, int]) -> tuple[int, float, float, int]:
    """Kill the pid namespace; the program's wait status, CPU and kernel seconds of all in it, its peak in kB."""
    signal.pidfd_send_signal(guard[1], SIGKILL)
    _, status, own = os.wait4(program[0], 0)
    _, _, orphans = os.wait4(guard[0], 0)
    for _, pidfd in (guard, program):
        os.close(pidfd)
    system_s = own.ru_stime + orphans.ru_stime
    return status, own.ru_utime + orphans.ru_utime + system_s, system_s, own.ru_maxrss


def child(
    server: Server, request: Request, answers: mmap.mmap | None, stdio: tuple[int, int, int]
) -> NoReturn:
    """Put on every layer, then run the program; nothing of the server is left open."""
    try:
        confine(server, request.job, stdio)
    except BaseException as error:  # noqa: BLE001 - a layer is missing: say so and run nothing
        reason = f"{type(error).__name__}: {error}".encode()[:REASON_BYTES]
        server.stage[REASON : REASON + len(reason)] = reason
        os._exit(70)
    begin(server, request, answers)


def begin(server: Server, request: Request, answers: Area | None) -> NoReturn:
    """Run the program; every layer is on."""
    try:
        set_handler(SIGINT, signal.default_int_handler)
        run_program(request, server.stage, answers)
    finally:
        end_process(71)  # as in `_leave`


def confine(server: Server, job: Job, stdio: tuple[int, int, int]) -> None:
    """Streams, file system, limits, capabilities, filter: in this order."""
    for target, fd in enumerate(stdio):
        os.dup2(fd, target)
    _become_victim(server.look.proc)
    check(syscall(CLOSE_RANGE_CALL, 3, 0x7FFFFFFF, 0), "close_range")
    mount_memory(
        b"/tmp", NO_SUID | NO_DEV, f"size={job['tmp_bytes']},nr_inodes={job['tmp_inodes']},mode=1777"
    )
    mount_memory(
        b"/dev/shm", NO_SUID | NO_DEV, f"size={job['shm_bytes']},nr_inodes={job['shm_inodes']},mode=1777"
    )
    os.chdir("/tmp")
    limit(job, processes=job["processes"] + OWN_PROCESSES, address_bytes=_address_bytes(server, job))
    check(prctl(DIE_WITH_PARENT, SIGKILL, 0, 0, 0), "parent-death signal")
    check(capset(CAPABILITY_HEADER, NO_CAPABILITIES), "capset")
    if server.filter:
        check(prctl(SECCOMP, 2, server.filter[1], 0, 0), "seccomp")


def _address_bytes(server: Server, job: Job) -> int:
    return job["address_bytes"] + server.address_bytes + job["answer_area"]


def _become_victim(proc: int) -> None:
    """When memory runs out, the kernel must end the program and not the fork-server."""
    # Our entry in /proc belongs to us only while we may be dumped.
    check(prctl(DUMPABLE, 1, 0, 0, 0), "dumpable")
    fd = os.open("self/oom_score_adj", os.O_WRONLY, dir_fd=proc)
    os.write(fd, b"1000")
    os.close(fd)
    check(prctl(DUMPABLE, 0, 0, 0, 0), "dumpable")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2].split(), sys.argv[3:])
