"""What hostile Python programs cannot do, seen from outside their jail."""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.records import Status
from altlas_agent.sandbox.engines.interpreters import python_engine
from altlas_agent.sandbox.jail import Jailer, unprivileged
from altlas_agent.sandbox.warm import ForkServer
from tests.sandbox.attacks import JAIL_UID
from tests.sandbox.conftest import Run, descendants, pid_of

if TYPE_CHECKING:
    from altlas_agent.sandbox.runner import Runner

SECRET = "canary-6d1f0c"


def test_no_listener_outside_hears_anything(run: Run, tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with ExitStack() as stack:
        listeners = [
            socket.socket(*kind) for kind in ((socket.AF_INET,), (socket.AF_UNIX,), (socket.AF_UNIX,))
        ]
        addresses: list[tuple[str, int] | str] = [
            ("127.0.0.1", 0),
            f"\0altlas-{os.getpid()}",
            str(tmp_path / "listener"),
        ]
        for listener, address in zip(listeners, addresses, strict=True):
            stack.enter_context(closing(listener))
            listener.bind(address)
            listener.listen()
            listener.setblocking(False)
        targets = [
            ("AF_INET", listeners[0].getsockname()),
            *(("AF_UNIX", address) for address in addresses[1:]),
        ]
        result = run(f"""
import socket
for family, address in {targets!r}:
    for attempt in (lambda: socket.socket(getattr(socket, family)), lambda: socket.socketpair(type=socket.SOCK_DGRAM)[0]):
        try:
            s = attempt()
            s.connect(address)
            s.send(b"hello")
        except (OSError, TypeError) as error:
            print(error)
""")
        assert result.status is Status.SUCCESS
        for listener in listeners:
            with pytest.raises(BlockingIOError):
                listener.accept()


def test_files_outside_can_be_neither_read_nor_changed(run: Run, tmp_path: Path) -> None:
    for folder in (tmp_path, *tmp_path.parents[:-2]):
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o005)
    tmp_path.chmod(0o777)
    canary = tmp_path / "canary"
    canary.write_text(SECRET)
    canary.chmod(0o666)
    result = run(f"""
import glob, os
for path in ({str(canary)!r}, "/etc/shadow", "/etc/passwd", "/proc/1/environ", "/proc/self/environ", "/root", "/home"):
    for attempt in (lambda: open(path).read(), lambda: open(path, "w").write("x"), lambda: os.listdir(path)):
        try:
            print(attempt())
        except OSError:
            pass
for place in ("/", "/usr", "/usr/lib", "/dev", "/sbx", "/etc", "/proc", {str(tmp_path)!r}):
    try:
        open(place + "/altlas-was-here", "w").write("x")
        print("wrote", place)
    except OSError:
        pass
""")
    assert (result.status, result.stdout) == (Status.SUCCESS, b"")
    assert canary.read_text() == SECRET
    assert os.listdir(tmp_path) == ["canary"]
    assert not Path("/usr/lib/altlas-was-here").exists()


def test_kernel_settings_stay_as_they_are(run: Run) -> None:
    settings = [
        Path("/proc/sys/kernel/core_pattern"),
        Path("/proc/sys/vm/overcommit_memory"),
        Path("/proc/sys/kernel/hostname"),
    ]
    before = [path.read_text() for path in settings]
    run("""
import ctypes, os, socket
libc = ctypes.CDLL(None)
libc.mount(b"proc", b"/tmp", b"proc", 0, None)
libc.umount2(b"/proc", 2)
for path in ("/proc/sys/kernel/core_pattern", "/tmp/sys/kernel/core_pattern", "/proc/sys/vm/overcommit_memory"):
    try:
        open(path, "w").write("1")
    except OSError:
        pass
try:
    socket.sethostname("altlas")
except OSError:
    pass
""")
    assert [path.read_text() for path in settings] == before


def test_the_environment_and_open_descriptors_of_the_worker_stay_outside(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ALTLAS_API_KEY", SECRET)
    (tmp_path / "open").write_text(SECRET)
    with (tmp_path / "open").open() as opened:
        os.set_inheritable(opened.fileno(), True)
        server = ForkServer(Jailer(uid=unprivileged(JAIL_UID)), python_engine("auto"))
        result = Run(server)("""
import os
print(sorted(os.environ))
for fd in range(1024):
    try:
        os.fstat(fd)
        print(fd, os.pread(fd, 100, 0))
    except OSError:
        pass
""")
        server.close()
    assert SECRET.encode() not in result.stdout + result.stderr
    assert result.stdout.splitlines()[0] == b"['HOME', 'LANG', 'PATH', 'PYTHONHASHSEED']"
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] in ([b"0", b"1", b"2"], [b"1", b"2"])


def test_a_program_leaves_nothing_to_the_next(run: Run) -> None:
    run("""
import os, sys, random, builtins
for place in ("/tmp", "/dev/shm", "/dev", "/", "/sbx", "/proc"):
    try:
        open(place + "/left", "w").write("x")
    except OSError:
        pass
builtins.left = random.left = 1
os.environ["LEFT"] = "1"
os.umask(0)
os.nice(5)
if not os.fork():
    os.setsid()
    import time
    time.sleep(60)
""")
    result = run("""
import os, random, builtins
print([p for p in ("/tmp", "/dev/shm", "/dev", "/", "/sbx", "/proc") if os.path.exists(p + "/left")])
print(hasattr(builtins, "left"), hasattr(random, "left"), "LEFT" in os.environ, os.umask(0), os.nice(0))
""")
    assert result.stdout == f"[]\nFalse False False 18 {os.nice(0)}\n".encode()


@pytest.mark.parametrize(
    "code",
    [
        "while True: pass",
        "import time\ntime.sleep(60)",
        "9 ** 9 ** 9 ** 9",
        "import os\nos.kill(os.getpid(), 19)",
    ],
)
def test_the_verdict_comes_in_time(run: Run, code: str) -> None:
    began = time.monotonic()
    result = run(code, wall_s=0.6, cpu_s=5, memory_mb=512)
    assert result.status in (Status.TIMEOUT, Status.MEMORY_LIMIT)
    assert time.monotonic() - began < 2.5


def test_neither_timers_nor_signals_move_the_deadline(run: Run) -> None:
    result = run(
        """
import signal, time
for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
    signal.signal(number, signal.SIG_IGN)
signal.setitimer(signal.ITIMER_REAL, 100)
while True:
    time.sleep(1)
""",
        wall_s=0.5,
    )
    assert result.status is Status.TIMEOUT
    assert result.signal == 9
    assert 0.4 < result.wall_s < 1.5


def test_cpu_time_is_limited(run: Run) -> None:
    result = run("import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass", cpu_s=0.2)
    assert result.status is Status.CPU_LIMIT
    assert 0.15 < result.cpu_s < 1.5


def test_cpu_time_of_descendants_is_charged(run: Run) -> None:
    result = run(
        "import os, time\nif os.fork():\n    time.sleep(60)\nif os.fork():\n    os._exit(0)\nwhile True: pass",
        cpu_s=0.3,
    )
    assert result.status is Status.CPU_LIMIT
    assert result.cpu_s >= 0.3


def test_memory_is_limited(run: Run) -> None:
    result = run("a = []\nwhile True:\n    a.append(bytearray(b'x' * 1_000_000))", memory_mb=64)
    assert result.status is Status.MEMORY_LIMIT
    assert result.max_rss_mb < 64 * 1.5 + 64


def test_memory_of_all_processes_counts_together(run: Run) -> None:
    result = run(
        """
import os, time
for _ in range(6):
    if not os.fork():
        a = b"x" * 30_000_000
        time.sleep(60)
time.sleep(60)
""",
        memory_mb=96,
    )
    assert result.status is Status.MEMORY_LIMIT


def test_one_absurd_allocation_fails_inside(run: Run) -> None:
    assert run("bytearray(10 ** 12)").status is Status.ERROR


@pytest.mark.parametrize("place", ["/tmp", "/dev/shm"])
def test_file_systems_in_memory_are_small(run: Run, place: str, reduced_rung: bool) -> None:
    result = run(f"""
written = 0
try:
    for number in range(200):
        with open({place!r} + f"/{{number}}", "wb") as f:
            written += f.write(b"x" * 1_000_000)
except OSError as error:
    print(written <= 36_000_000, error.errno)
""")
    assert result.stdout == (b"True 13\n" if reduced_rung else b"True 28\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_flood_of_output_is_cut_and_said_to_be(run: Run, stream: str) -> None:
    result = run(f"import sys\nwhile True: sys.{stream}.write('x' * 10_000)", output_kb=8)
    assert result.status is Status.OUTPUT_LIMIT
    assert len(result.stdout) <= 8192
    assert len(result.stderr) <= 8192
    assert (result.stdout_truncated, result.stderr_truncated) != (False, False)


def test_bytes_that_are_no_text_are_kept(run: Run) -> None:
    result = run("import sys\nsys.stdout.buffer.write(bytes(range(256)))")
    assert (result.status, result.stdout) == (Status.SUCCESS, bytes(range(256)))


def test_a_fork_bomb_ends_with_its_program(python_runner: Runner, run: Run) -> None:
    identity = python_runner.alive()
    result = run(
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", wall_s=1.0, cpu_s=0.5
    )
    assert result.status in (Status.CPU_LIMIT, Status.TIMEOUT)
    assert python_runner.alive() == identity
    assert run("print(1)").stdout == b"1\n"


def test_no_process_is_left_when_the_verdict_is_there(python_runner: Runner, run: Run) -> None:
    before = set(descendants(os.getpid()))
    began = time.monotonic()
    result = run("""
import os, time
if not os.fork():
    os.setsid()
    if not os.fork():
        time.sleep(30)
    os._exit(0)
print("parent", flush=True)
""")
    assert (result.status, result.stdout) == (Status.SUCCESS, b"parent\n")
    assert time.monotonic() - began < 2
    assert set(descendants(os.getpid())) <= before


def test_what_is_written_to_stray_descriptors_changes_no_record(run: Run) -> None:
    result = run("""
import os, sys
forged = b'{"fault": "", "stage": 2, "status": 0, "sizes": [0, 0, 0]}'
for fd in range(3, 1000):
    for text in (forged, bytes(8), b"\\xff" * 64):
        try:
            os.write(fd, text)
        except OSError:
            pass
print('{"status": "success"}')
sys.exit(5)
""")
    assert (result.status, result.exit_code) == (Status.ERROR, 5)
    assert result.stdout == b'{"status": "success"}\n'


def test_answers_forged_in_memory_stay_bounded(run: Run) -> None:
    result = run(
        """
import mmap, os, sys
def f(x):
    frame, forged = sys._getframe(), 0
    while frame:
        for area in frame.f_locals.values():
            if isinstance(area, memoryview) or isinstance(area, mmap.mmap) and not area.closed:
                area[:] = b"\\xff" * len(area)
                forged += 1
        frame = frame.f_back
    print(forged > 0, flush=True)
    os._exit(0)
""",
        entry="f",
        calls=("[1]", "[2]"),
    )
    assert (result.status, result.stdout) == (Status.SUCCESS, b"True\n")
    assert result.returns == ("", "")


@pytest.mark.parametrize(
    "code", ["def f(): f()\nf()", "print(10 ** 5000)", "a = []\nfor _ in range(99999): a = [a]\nrepr(a)"]
)
def test_recursion_and_huge_numbers_are_errors(run: Run, code: str) -> None:
    assert run(code).status is Status.ERROR


def test_an_overflowing_stack_is_a_signal(run: Run) -> None:
    result = run("import sys\nsys.setrecursionlimit(10 ** 9)\nf = lambda x: [*map(f, [x])]\nf(1)")
    assert (result.status, result.signal) == (Status.SIGNAL, 11)


def test_a_program_cannot_raise_its_limits_or_regain_rights(run: Run) -> None:
    result = run("""
import ctypes, os, resource
for kind in (resource.RLIMIT_AS, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU):
    try:
        resource.setrlimit(kind, (resource.RLIM_INFINITY,) * 2)
        print("raised", kind)
    except ValueError:
        pass
for name in ("setuid", "setgid"):
    try:
        getattr(os, name)(0)
        print(name)
    except OSError:
        pass
libc = ctypes.CDLL(None)
data = (ctypes.c_uint32 * 6)()
libc.capget((ctypes.c_uint32 * 2)(0x20080522, 0), data)
print(list(data), libc.prctl(39, 0, 0, 0, 0))
""")
    assert result.stdout == b"[0, 0, 0, 0, 0, 0] 1\n"


def test_the_jail_is_never_root_for_the_kernel() -> None:
    server = ForkServer(Jailer(uid=unprivileged(JAIL_UID)), python_engine("auto"))
    jail = pid_of(server.alive())
    for pid in (jail, *descendants(jail)):
        uids = next(
            line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Uid:")
        )
        assert "0" not in uids.split()[1:]
    server.close()
