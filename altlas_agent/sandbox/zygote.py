"""The fork-server inside the jail: one forked child per program; standard library only.

    worker                        fork-server                       per program
    request over the socket  ->   new pid namespace           ->    pid 1: sleeps, shares our memory
    waits for the reply           watches clock, CPU, memory  ->    pid 2: tmpfs, limits, filter, program
    reply over the socket    <-   kills pid 1, and with it all, then reads what was left behind

It never compiles or runs program text itself. The child tells how far it came through a page of
memory that it unmaps before the program starts: exit codes are the program's to choose.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import mmap
import os
import platform
import select
import signal
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING, NoReturn

from altlas_agent.sandbox.inside.program import Job, Request, end_process, limit, look_normal, run_program
from altlas_agent.sandbox.inside.warmup import warm_up

if TYPE_CHECKING:
    from collections.abc import Callable

MEBIBYTE = 1024 * 1024
MAX_HEADER_BYTES, MAX_BODY_BYTES = 4096, 8 * MEBIBYTE
TICK_MS = 20
PAGE = mmap.PAGESIZE

NEW_NS, NEW_IPC, NEW_USER, NEW_PID = 0x00020000, 0x08000000, 0x10000000, 0x20000000
SHARE_MEMORY, GIVE_PIDFD = 0x00000100, 0x00001000
CLONE_CALL = {"x86_64": 56, "aarch64": 220}
CLOSE_RANGE_CALL = 436
READ_ONLY, NO_SUID, NO_DEV, PRIVATE_TREE = 1, 2, 4, 0x44000
DIE_WITH_PARENT, DUMPABLE, SECCOMP, NO_NEW_PRIVS = 1, 4, 22, 38
CAPABILITY_HEADER, NO_CAPABILITIES = struct.pack("II", 0x20080522, 0), bytes(24)
# Plain numbers, and the module below `signal`: its enumerations cost every child a hundred page faults.
SIGINT, SIGKILL, SIGCHLD = int(signal.SIGINT), int(signal.SIGKILL), int(signal.SIGCHLD)
set_handler: Callable[[int, object], object] = importlib.import_module("_signal").signal

libc = ctypes.PyDLL(None, use_errno=True)
# Looked up here, for in a child each first look-up costs.
clone, syscall, unshare, setns = libc.clone, libc.syscall, libc.unshare, libc.setns
mount, prctl, capset, pause = libc.mount, libc.prctl, libc.capset, libc.pause


def check(result: int, what: str) -> int:
    """The result of a call to the C library; raises OSError when it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def main(control: int) -> None:
    """Serve the socket until the worker hangs up."""
    look_normal()
    syscall(CLOSE_RANGE_CALL, 3, control - 1, 0)
    syscall(CLOSE_RANGE_CALL, control + 1, 0x7FFFFFFF, 0)
    enter_namespaces()
    warm_up()
    serve(Server(), socket.socket(fileno=control))


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
    check(mount(b"none", b"/", None, PRIVATE_TREE, None), "private mounts")
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
        self.me = os.readlink("/proc/self")
        self.memory_bytes, _ = _process_usage(self.me)
        self.address_bytes, self.rss_bytes = (int(n) * PAGE for n in _read("/proc/self/statm").split()[:2])
        self.filter = _load_filter("/sbx/filter")
        self.clone = CLONE_CALL[platform.machine()]
        self.stack = ctypes.create_string_buffer(4 * PAGE)
        self.stack_top = ctypes.c_void_p((ctypes.addressof(self.stack) + 4 * PAGE) & ~15)
        self.sleep = ctypes.cast(pause, ctypes.c_void_p)
        self.pidfd = ctypes.c_int()


def _load_filter(path: str) -> tuple[ctypes.Array[ctypes.c_char], bytes] | None:
    """The lines of a filter, kept alive, and the structure that points at them."""
    if not os.path.exists(path):
        return None
    with open(path, "rb") as opened:
        text = opened.read()
    lines = ctypes.create_string_buffer(text, len(text))
    return lines, struct.pack("HP", len(text) // 8, ctypes.addressof(lines))


def serve(server: Server, control: socket.socket) -> None:
    """Answer requests one after the other until the worker hangs up."""
    control.sendall(b"R")
    while (request := receive(control)) is not None:
        try:
            reply = execute(server, request)
        except OSError as error:
            reply = pack({"fault": f"{type(error).__name__}: {error}"[:500]})
        control.sendall(reply)


def receive(control: socket.socket) -> Request | None:
    """The next request, or None at the end; raises ValueError when it is not one of ours."""
    sizes = _exactly(control, 8)
    if sizes is None:
        return None
    header, body = struct.unpack("!II", sizes)
    if header > MAX_HEADER_BYTES or body > MAX_BODY_BYTES:
        raise ValueError("a request of impossible size")
    text = _exactly(control, header + body)
    return None if text is None else Request(text[:header], text[header:])


def _exactly(control: socket.socket, size: int) -> bytes | None:
    text = b""
    while len(text) < size:
        part = control.recv(size - len(text))
        if not part:
            return None
        text += part
    return text


def pack(header: dict[str, object], *streams: bytes) -> bytes:
    """A reply: the length of its header, its header, what the program left."""
    text = json.dumps(header).encode()
    return struct.pack("!I", len(text)) + text + b"".join(streams)


def execute(server: Server, request: Request) -> bytes:
    """Run one program to its end, and everything it started to theirs."""
    job = request.job
    server.stage[:400] = bytes(400)
    answers = mmap.mmap(-1, job["answer_area"]) if job["answer_area"] else None
    stdio = _stdin(server, request), os.memfd_create("out"), os.memfd_create("err")
    try:
        began = time.monotonic()
        guard, program = _fork(server, request, answers, stdio)
        broken, seen_cpu_s = watch(server, program[1], job, began)
        status, cpu_s, system_s, max_rss_kb = _sweep(guard, program)
        # Whatever dies with its namespace is never waited for: its time is only in the last look at it.
        cpu_s = max(cpu_s, seen_cpu_s)
        wall_s = time.monotonic() - began
        sizes = [os.fstat(fd).st_size for fd in stdio[1:]]
        streams = [os.pread(fd, job["output_bytes"], 0) for fd in stdio[1:]]
    finally:
        for fd in {*stdio} - {server.null}:
            os.close(fd)
    streams.append(_left(answers))
    if not broken and max_rss_kb * 1024 - server.rss_bytes > job["memory_bytes"]:
        broken = "memory"
    if not broken and cpu_s > job["cpu_s"]:
        broken = "cpu"
    header: dict[str, object] = {
        "stage": server.stage[0],
        "status": status,
        "broken": broken,
        "wall_s": wall_s,
    }
    header |= {"cpu_s": cpu_s, "max_rss_kb": max_rss_kb, "stdout_bytes": sizes[0], "stderr_bytes": sizes[1]}
    header |= {"sizes": [len(stream) for stream in streams], "system_s": system_s, "fault": _reason(server)}
    return pack(header, *streams)


def _reason(server: Server) -> str:
    return server.stage[16:400].rstrip(b"\0").decode(errors="replace")


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
    flags = SHARE_MEMORY | GIVE_PIDFD | SIGCHLD
    guard = check(clone(server.sleep, server.stack_top, flags, None, ctypes.byref(pidfd)), "clone")
    guard_pidfd = pidfd.value
    flags = NEW_NS | NEW_IPC | GIVE_PIDFD | SIGCHLD
    pid: int = syscall(server.clone, flags, 0, ctypes.byref(pidfd), 0, 0)
    if pid == 0:
        child(server, request, answers, stdio)
    number = ctypes.get_errno() if pid < 0 else 0
    check(setns(server.home, NEW_PID), "setns")
    if number:
        signal.pidfd_send_signal(guard_pidfd, SIGKILL)
        os.waitpid(guard, 0)
        os.close(guard_pidfd)
        raise OSError(number, f"clone: {os.strerror(number)}")
    return (guard, guard_pidfd), (pid, pidfd.value)


def watch(server: Server, pidfd: int, job: Job, began: float) -> tuple[str, float]:
    """Wait for the end of a program; the limit that it broke before that, if any, and the CPU seconds seen."""
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    deadline, cpu_s = began + job["wall_s"], 0.0
    while not poller.poll(max(0, min(TICK_MS, (deadline - time.monotonic()) * 1000))):
        memory_bytes, cpu_now_s = usage(server)
        cpu_s = max(cpu_s, cpu_now_s)
        if time.monotonic() >= deadline:
            return "wall", cpu_s
        if cpu_s > job["cpu_s"]:
            return "cpu", cpu_s
        if memory_bytes > job["memory_bytes"]:
            return "memory", cpu_s
    return "", cpu_s


def usage(server: Server) -> tuple[int, float]:
    """Memory beyond the server's own, and CPU seconds, of every process in the jail but the server."""
    memory_bytes, cpu_s = 0, 0.0
    for name in os.listdir("/proc"):
        if name.isdigit() and name not in ("1", server.me):
            memory, cpu = _process_usage(name)
            memory_bytes += max(0, memory - server.memory_bytes)
            cpu_s += cpu
    return memory_bytes, cpu_s


def _process_usage(pid: str) -> tuple[int, float]:
    try:
        pages = _read(f"/proc/{pid}/statm").split()
        times = _read(f"/proc/{pid}/stat").rpartition(") ")[2].split()[11:15]
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0.0
    return (int(pages[1]) - int(pages[2])) * PAGE, sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


def _read(path: str) -> str:
    fd = os.open(path, os.O_RDONLY)
    try:
        return os.read(fd, 4096).decode(errors="replace")
    finally:
        os.close(fd)


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
        reason = f"{type(error).__name__}: {error}".encode()[:300]
        server.stage[16 : 16 + len(reason)] = reason
        os._exit(70)
    try:
        run_program(request, server.stage, answers)
    finally:
        end_process(71)  # whatever a program does to the way back, it must not lead into the server


def confine(server: Server, job: Job, stdio: tuple[int, int, int]) -> None:
    """Streams, file system, limits, capabilities, filter: in this order."""
    for target, fd in enumerate(stdio):
        os.dup2(fd, target)
    check(syscall(CLOSE_RANGE_CALL, 3, 0x7FFFFFFF, 0), "close_range")
    _mount(b"/tmp", NO_SUID | NO_DEV, f"size={job['tmp_bytes']},nr_inodes={job['tmp_inodes']},mode=1777")
    _mount(b"/dev/shm", NO_SUID | NO_DEV, f"size={job['shm_bytes']},nr_inodes={job['shm_inodes']},mode=1777")
    _mount(b"/proc", NO_SUID | NO_DEV | READ_ONLY, "size=4096,nr_inodes=1,mode=555")
    os.chdir("/tmp")
    # The server, its parent and the guard count as well.
    limit(job, processes=job["processes"] + 3, address_bytes=job["address_bytes"] + server.address_bytes)
    set_handler(SIGINT, signal.default_int_handler)
    check(prctl(DIE_WITH_PARENT, SIGKILL, 0, 0, 0), "parent-death signal")
    check(capset(CAPABILITY_HEADER, NO_CAPABILITIES), "capset")
    if server.filter:
        check(prctl(SECCOMP, 2, server.filter[1], 0, 0), "seccomp")


def _mount(where: bytes, flags: int, options: str) -> None:
    check(mount(b"tmpfs", where, b"tmpfs", flags, options.encode()), f"mount {where.decode()}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
