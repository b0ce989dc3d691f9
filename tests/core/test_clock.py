"""Time stands still in tests, and seeds are the same everywhere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altlas_agent.core.clock import ManualClock, SystemClock, derive_seed, stable_id

PATHS = st.lists(st.integers() | st.text(), max_size=4).map(tuple)


def test_the_system_clock_goes_forward() -> None:
    clock = SystemClock()
    assert clock.monotonic_ns() <= clock.monotonic_ns()
    assert clock.wall_ns() > 1_700_000_000 * 10**9


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock(monotonic_ns=5, wall_ns=100)
    clock.advance(1.5)
    assert (clock.monotonic_ns(), clock.wall_ns()) == (1_500_000_005, 1_500_000_100)


def test_the_wall_clock_may_jump_back_and_durations_do_not_notice() -> None:
    clock = ManualClock(wall_ns=7_200 * 10**9)
    clock.jump_wall(-3600)
    assert (clock.monotonic_ns(), clock.wall_ns()) == (0, 3_600 * 10**9)


def test_time_cannot_be_advanced_backwards() -> None:
    with pytest.raises(ValueError, match="time does not go back"):
        ManualClock().advance(-1)


def test_seeds_never_change_between_versions() -> None:
    assert derive_seed(0) == 6148773199958884930
    assert derive_seed(7, "sampling", 12) == 9070740714015587845
    assert stable_id("echo/one", 3) == "3eae10e8cf30fd4a"


@given(st.integers(), PATHS)
def test_a_seed_fits_into_63_bits_and_is_the_same_each_time(seed: int, path: tuple[str | int, ...]) -> None:
    assert 0 <= derive_seed(seed, *path) < 2**63
    assert derive_seed(seed, *path) == derive_seed(seed, *path)


@given(PATHS, PATHS)
def test_different_paths_give_different_seeds(
    one: tuple[str | int, ...], other: tuple[str | int, ...]
) -> None:
    assert (derive_seed(1, *one) == derive_seed(1, *other)) == (one == other)


def test_a_number_and_its_text_are_different_paths() -> None:
    assert (
        len({derive_seed(1, 1), derive_seed(1, "1"), derive_seed(1, "ab", "c"), derive_seed(1, "a", "bc")})
        == 4
    )
