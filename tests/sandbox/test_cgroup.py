"""Control groups: what the kernel counts for a whole slot, and nothing of it left behind."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import SandboxError
from altlas_agent.core.records import Status
from altlas_agent.sandbox.engines.interpreters import python_engine
from altlas_agent.sandbox.jail import Jailer, unprivileged
from altlas_agent.sandbox.walls.cgroup import Cgroup
from altlas_agent.sandbox.warm import ForkServer
from tests.sandbox.attacks import JAIL_UID
from tests.sandbox.conftest import Run, descendants, pid_of

if TYPE_CHECKING:
    from collections.abc import Iterator


OWN = f"altlas-{os.getpid()}-"
FILL = """
import os
script = '''for place in /tmp /dev/shm; do
    for number in 1 2 3 4 5 6 7 8 9 a b c d e f g h i j k l m n o p q r s t u; do
        head -c 1000000 /dev/zero > $place/$number
    done
done
head -c 50000000 /dev/zero | tail -c 50000000 | tail -c 1'''
os.execv("/bin/sh", ["sh", "-c", script])
"""
"""A program that is much smaller than the fork-server, and fills all the memory that there is."""


@pytest.fixture
def server() -> Iterator[ForkServer]:
    others = groups()
    try:
        cgroup = Cgroup.make()
    except SandboxError as error:
        pytest.skip(error.message)
    made = ForkServer(Jailer(uid=unprivileged(JAIL_UID)), python_engine("auto"), cgroup=cgroup)
    yield made
    made.close()
    assert groups() == others


def groups() -> set[Path]:
    """Those of this process."""
    walk = os.walk("/sys/fs/cgroup")  # other processes make and remove groups meanwhile
    return {Path(at, name) for at, names, _ in walk for name in names if name.startswith(OWN)}


def test_files_in_memory_count_as_memory_and_the_slot_lives_on(server: ForkServer) -> None:
    run, identity = Run(server), server.alive()
    result = run("for i in range(30):\n    open(f'/tmp/{i}', 'wb').write(b'x' * 1_000_000)", memory_mb=16)
    assert result.status is Status.MEMORY_LIMIT
    assert run("print(1)").stdout == b"1\n"
    assert server.alive() == identity


def test_a_small_program_is_ended_before_the_large_fork_server(server: ForkServer) -> None:
    run, identity = Run(server), server.alive()
    assert run(FILL, memory_mb=16, files=128).status is Status.MEMORY_LIMIT
    assert run("print(1)").stdout == b"1\n"
    assert server.alive() == identity


def test_what_a_program_reads_of_the_disk_is_not_its_memory(server: ForkServer) -> None:
    files = [path for path in Path("/usr/lib").rglob("*.so*") if 200_000 < path.lstat().st_size < 5_000_000]
    for path in files[:60]:
        with path.open("rb") as opened:
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)  # so that it is read anew
    code = f"print(sum(len(open(path, 'rb').read()) for path in {[*map(str, files[:60])]}))"
    result = Run(server)(code, memory_mb=16)
    assert (result.status, int(result.stdout) > 25_000_000) == (Status.SUCCESS, True)


def test_a_program_that_costs_the_slot_its_memory_is_to_blame(server: ForkServer) -> None:
    for pid in descendants(pid_of(server.alive())):
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")  # as if the kernel had chosen wrongly
    result = Run(server)(FILL, memory_mb=16, files=128)
    assert (result.status, server.alive()) == (Status.MEMORY_LIMIT, "")


def test_a_program_that_lost_a_part_for_want_of_memory_is_not_waited_for(server: ForkServer) -> None:
    result = Run(server)(
        """
import os, time
for _ in range(6):
    if not os.fork():
        a = b"x" * 30_000_000
        time.sleep(60)
time.sleep(60)
""",
        memory_mb=96,
        wall_s=6,
    )
    assert result.status is Status.MEMORY_LIMIT
    assert result.wall_s < 3


def test_the_peak_is_that_of_this_program_and_not_of_the_one_before(server: ForkServer) -> None:
    run = Run(server)
    large = run("x = bytearray(b'1' * 60_000_000)")
    small = run("print(1)")
    assert large.max_rss_mb > 100
    assert small.max_rss_mb < 40


def test_time_of_processes_that_nobody_waits_for_is_charged(server: ForkServer) -> None:
    result = Run(server)("""
import os, time
read, write = os.pipe()
for _ in range(2):
    if not os.fork():
        os.setsid()
        while time.process_time() < 0.2: pass
        os.write(write, b"x")
        time.sleep(60)
os.read(read, 1), os.read(read, 1)
""")
    assert result.status is Status.SUCCESS
    assert result.cpu_s > 0.3


def test_the_group_of_a_dead_worker_is_removed_by_the_next(server: ForkServer) -> None:
    mine = min(groups())
    left = mine.with_name("altlas-1-1-1")
    left.mkdir()
    Cgroup.make().close()
    assert not left.exists()
    assert mine.exists()


def test_a_group_in_which_something_was_still_ending_goes_with_the_worker_that_came_next(
    server: ForkServer,
) -> None:
    left = min(groups()).with_name("altlas-1-1-2")
    left.mkdir()
    with subprocess.Popen(["/bin/sleep", "60"]) as ending:
        (left / "cgroup.procs").write_text(f"{ending.pid}")
        ours = Cgroup.make()
        assert left.exists()
        ending.kill()
    ours.close()
    assert not left.exists()
