"""Limits of each program, and what a run is said to have used, on every way to run one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.records import Status
from tests.sandbox.conftest import Run

if TYPE_CHECKING:
    from altlas_agent.sandbox.slots import Slots

THREADS = """
import threading, time
made = 0
try:
    for _ in range(30):
        threading.Thread(target=time.sleep, args=(0.3,), daemon=True).start()
        made += 1
except RuntimeError:
    pass
print(made, flush=True)
"""
FILL = """
import os
made = 0
try:
    for number in range({count}):
        with open(f'/tmp/{{number}}', 'wb') as opened:
            opened.write(b'x' * {size})
        made += 1
except OSError:
    pass
print(made)
"""
OPEN = """
import os
made = 0
try:
    while made < 500:
        os.open('/dev/null', os.O_RDONLY)
        made += 1
except OSError:
    pass
print(made)
"""


def test_processes_and_threads_are_counted(run: Run) -> None:
    few, more = (int(run(THREADS, processes=number, memory_mb=900).stdout) for number in (2, 12))
    assert few < 4 <= 9 < more < 30


def test_one_process_alone_may_start_no_other(run: Run) -> None:
    assert run("import os\nos.fork()", processes=1).status is Status.ERROR


def test_tmp_holds_no_more_than_its_megabytes(run: Run, reduced_rung: bool) -> None:
    if reduced_rung:
        pytest.skip("the folder of a reduced jail has no bound of its own")
    fill = FILL.format(count=40, size=500_000)
    few, more = (int(run(fill, tmp_mb=size).stdout) for size in (2, 12))
    assert few <= 4 < 20 <= more <= 26


def test_files_are_counted(run: Run) -> None:
    result = run(FILL.format(count=20_000, size=0), files=16)
    assert result.status is Status.MEMORY_LIMIT or int(result.stdout) <= 256


def test_open_files_are_counted(run: Run) -> None:
    few, more = (int(run(OPEN, files=number).stdout) for number in (16, 128))
    assert few < 16 < 100 < more < 128


def test_the_time_of_the_kernel_is_told_apart(run: Run) -> None:
    loop = "import time\nbegan = time.process_time()\nwhile time.process_time() - began < 0.4: {}"
    own = run(loop.format("sum(range(1000))"))
    kernel = run("import os\nfd = os.open('/dev/zero', 0)\n" + loop.format("os.read(fd, 1_000_000)"))
    for result in (own, kernel):
        assert result.cpu_s == pytest.approx(result.user_s + result.system_s)
        assert 0.3 < result.cpu_s < 1.5
    assert own.user_s > own.system_s
    assert kernel.system_s > kernel.user_s


def test_the_start_of_an_interpreter_is_not_charged(run: Run) -> None:
    assert run("pass").cpu_s < 0.05


def test_the_memory_of_who_starts_a_program_is_not_charged(run: Run) -> None:
    ours = bytearray(b"1" * 250_000_000)
    result = run("pass")
    del ours
    assert 1 < result.max_rss_mb < 100


def test_the_true_length_of_the_output_is_told(run: Run) -> None:
    result = run("import sys\nprint('x' * 99_999)\nprint('y' * 9, file=sys.stderr)", output_kb=1)
    assert (result.stdout_bytes, result.stderr_bytes, len(result.stdout)) == (100_000, 10, 1024)
    assert (result.stdout_truncated, result.stderr_truncated) == (True, False)


def test_node_obeys_the_same_limits(slots: Slots) -> None:
    node = Run(slots, "javascript")
    fill = "let n = 0; try { for (; n < 40; n++) fs.writeFileSync(`/tmp/${n}`, 'x'.repeat(5e5)) } catch {}"
    few, more = (
        int(node(f"const fs = require('fs'); {fill}; console.log(n)", tmp_mb=size).stdout) for size in (2, 12)
    )
    assert few <= 4 < 20 <= more <= 26
    spawn = "const c = require('child_process'); let n = 0; for (let i = 0; i < 40; i++) { if (c.spawn('sleep', ['1']).on('error', () => 0).pid) n++ }; console.log(n); process.exit()"
    assert int(node(spawn, processes=1).stdout) < int(node(spawn, processes=24).stdout) <= 36


def test_bash_obeys_the_same_limits(slots: Slots) -> None:
    bash = Run(slots, "bash")
    jobs = "for i in 1 2 3 4 5 6 7 8; do sleep 0.3 & done; jobs -r | wc -l"
    assert b"Resource temporarily unavailable" in bash(jobs, processes=4, wall_s=3).stderr
    assert bash(jobs, processes=16).stdout == b"8\n"
    result = bash("head -c 5000000 /dev/zero | split -b 500000 - /tmp/x; ls /tmp | wc -l", tmp_mb=2)
    assert b"No space left" in result.stderr
    assert result.system_s >= 0 < result.cpu_s
