"""Limits: clamped by ceilings, translated for the kernel."""

from __future__ import annotations

import math

from altlas_agent.core.records import Limits
from altlas_agent.sandbox.limits import CEILINGS, FLOORS, MAX_ANSWER_AREA, answer_area, bounds, clamp


def test_a_task_may_ask_for_less_than_the_ceiling() -> None:
    asked = Limits(cpu_s=0.5, wall_s=2.0, memory_mb=64, output_kb=8)
    assert clamp(asked, CEILINGS) == asked


def test_no_task_gets_more_than_the_ceiling() -> None:
    most = 10**9
    greedy = Limits(
        cpu_s=1e9,
        wall_s=math.inf,
        memory_mb=most,
        output_kb=most,
        processes=most,
        tmp_mb=most,
        files=most,
    )
    assert clamp(greedy, CEILINGS) == CEILINGS


def test_nonsense_becomes_a_limit_and_never_none() -> None:
    nothing = Limits(cpu_s=-1.0, wall_s=0.0, memory_mb=0, output_kb=-5, processes=0, tmp_mb=0, files=-1)
    assert clamp(nothing, CEILINGS) == FLOORS
    assert clamp(Limits(cpu_s=math.nan, wall_s=math.nan), CEILINGS).wall_s == CEILINGS.wall_s


def test_a_file_may_grow_beyond_the_output_so_that_too_much_is_seen() -> None:
    for output_kb in (1, 64, 1024):
        limits = bounds(Limits(output_kb=output_kb))
        assert limits.file_bytes > limits.output_bytes == output_kb * 1024


def test_the_kernel_ends_a_process_later_than_the_watcher() -> None:
    assert bounds(Limits(cpu_s=1.5)).cpu_hard_s == 3


def test_answers_have_room_for_a_length_each_and_an_end() -> None:
    assert answer_area(0, 65536) == 0
    assert answer_area(4096, 1024 * 1024) == MAX_ANSWER_AREA
