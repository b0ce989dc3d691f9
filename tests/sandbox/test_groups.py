"""Control groups of processes that run one program: all memory of a program counts, in every language."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import SandboxError
from altlas_agent.core.records import Limits, Program, Status
from altlas_agent.sandbox.slots import Options, Slots
from altlas_agent.sandbox.walls.cgroup import LAYER, Cgroup

if TYPE_CHECKING:
    from collections.abc import Iterator

GREEDY = {
    "javascript": "const all = [];\nfor (;;) all.push(Buffer.alloc(10_000_000, 1));",
    "cpp": (
        "#include <unistd.h>\nint main() { fork(); fork(); volatile char *all = new char[60 << 20];"
        "for (int at = 0; at < 60 << 20; at += 4096) all[at] = 1; sleep(9); }"
    ),
    "bash": 'x=xxxxxxxx; while true; do x="$x$x"; done',
}
"""Each takes more than it may; the C++ one in four processes, of which none does."""

HARMLESS = {
    "javascript": "console.log(7)",
    "cpp": '#include <cstdio>\nint main() { puts("7"); }',
    "bash": "echo 7",
}


@pytest.fixture
def slots() -> Iterator[Slots]:
    try:
        Cgroup.make().close()
    except SandboxError as error:
        pytest.skip(error.message)
    with Slots(Options(result_cache=0, prewarmed=1)) as made:
        yield made


@pytest.mark.parametrize("language", GREEDY)
def test_memory_of_all_its_processes_is_limited_and_the_next_program_runs(
    slots: Slots, language: str
) -> None:
    limits = Limits(memory_mb=128, wall_s=8, cpu_s=8)
    greedy = slots.run(Program(language=language, code=GREEDY[language]), limits)
    assert greedy.status is Status.MEMORY_LIMIT
    assert greedy.wall_s < 6
    harmless = slots.run(Program(language=language, code=HARMLESS[language]), limits)
    assert (harmless.status, harmless.stdout) == (Status.SUCCESS, b"7\n")
    assert LAYER in harmless.layers


def test_groups_are_used_again(slots: Slots) -> None:
    slots.run(Program(language="bash", code="echo 0"), Limits())
    before = own_groups()
    for number in range(5):
        slots.run(Program(language="bash", code=f"echo {number}"), Limits())
    assert own_groups() == before


def test_nothing_is_left_of_the_groups_of_a_closed_slot(slots: Slots) -> None:
    others = own_groups()
    with Slots(Options(result_cache=0, prewarmed=2)) as more:
        more.run(Program(language="javascript", code="console.log(1)"), Limits())
        assert own_groups() > others
    assert own_groups() == others


def own_groups() -> set[Path]:
    return {path for path in Path("/sys/fs/cgroup").rglob(f"altlas-{os.getpid()}-*") if path.is_dir()}
