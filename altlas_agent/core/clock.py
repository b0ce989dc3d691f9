"""Time, identifiers and random seeds, replaceable in tests."""

from __future__ import annotations

import hashlib
import time
from typing import Protocol

NS_PER_S = 1_000_000_000


class Clock(Protocol):
    """Where times come from. Durations and deadlines use `monotonic_ns`; `wall_ns` is for people."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary moment; never goes back."""
        ...

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; may jump either way."""
        ...


class SystemClock:
    """The clocks of this machine."""

    def monotonic_ns(self) -> int:
        """Nanoseconds since an arbitrary moment; never goes back."""
        return time.monotonic_ns()

    def wall_ns(self) -> int:
        """Nanoseconds since 1970-01-01 UTC; may jump either way."""
        return time.time_ns()


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, *, monotonic_ns: int = 0, wall_ns: int = 0) -> None:
        self._monotonic_ns = monotonic_ns
        self._wall_ns = wall_ns

    def monotonic_ns(self) -> int:
        """Where `advance` has brought it."""
        return self._monotonic_ns

    def wall_ns(self) -> int:
        """Where `advance` and `jump_wall` have brought it."""
        return self._wall_ns

    def advance(self, seconds: float) -> None:
        """Let time pass, on both clocks. Raises ValueError for a negative step."""
        if seconds < 0:
            raise ValueError(f"time does not go back: advance({seconds}); see jump_wall")
        step_ns = round(seconds * NS_PER_S)
        self._monotonic_ns += step_ns
        self._wall_ns += step_ns

    def jump_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back, as a correction of the system's time does."""
        self._wall_ns += round(seconds * NS_PER_S)


def derive_seed(seed: int, *path: str | int) -> int:
    """A seed of 63 bits for one use of randomness, e.g. `derive_seed(7, "sampling", attempt_number)`.

    The same on every machine and in every version; different paths give unrelated seeds.
    """
    return int.from_bytes(_digest((seed, *path), 8), "big") >> 1


def stable_id(*path: str | int) -> str:
    """An identifier of 16 hexadecimal digits that depends on `path` alone."""
    return _digest(path, 8).hex()


def _digest(path: tuple[str | int, ...], num_bytes: int) -> bytes:
    hasher = hashlib.blake2b(digest_size=num_bytes)
    for part in path:
        text = part.encode() if isinstance(part, str) else str(int(part)).encode()
        kind = "s" if isinstance(part, str) else "i"
        # Kind and length in front: ("ab", "c"), ("a", "bc") and ("1",), (1,) must differ.
        hasher.update(f"{kind}{len(text)}:".encode())
        hasher.update(text)
    return hasher.digest()
