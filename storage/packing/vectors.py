"""Numbers of an attempt as packed bytes, little-endian, and back.

    tokens    uint16 each
    logps     float32 each
    rewards   a bit mask of which are there, then float32 each, in the order of a reward schema
    exact     float64 of what float32 rounds: with it nothing is lost
    fingerprints   the bytes that hexadecimal digits stand for

Bit i of a mask is bit i % 8 of its byte i // 8. A reward that is not finite or lies outside of 0..1 is not
there: its bit is 0 and so is its place. Its exact value is kept, because the event that told of it is.
"""

from __future__ import annotations

import math
import struct
from functools import cache, lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Exact(NamedTuple):
    """What float32 rounds: which rewards as a mask, their values, and all logps if it rounds one."""

    places: bytes
    rewards: bytes
    logps: bytes


class Numbers(NamedTuple):
    """Rewards and log-probabilities as they are stored."""

    rewards: bytes
    logps: bytes
    exact: bytes


_encode_exact = msgspec.msgpack.Encoder().encode
_decode_exact = msgspec.msgpack.Decoder(Exact).decode


def pack_tokens(tokens: tuple[int, ...]) -> bytes:
    return _words(len(tokens)).pack(*tokens)


def unpack_tokens(packed: bytes) -> tuple[int, ...]:
    return _words(len(packed) // 2).unpack(packed)


def is_reward(value: float) -> bool:
    """False for what is not finite or lies outside of 0..1."""
    return 0.0 <= value <= 1.0


def pack(rewards: Sequence[float], logps: tuple[float, ...]) -> Numbers:
    """Both as float32, and what that rounds."""
    count, floats = len(rewards), _floats(len(rewards))
    kept, present = rewards, (1 << count) - 1
    if not all([0.0 <= value <= 1.0 for value in rewards]):  # noqa: C419 - a generator takes three times as long
        present = sum(1 << place for place, value in enumerate(rewards) if is_reward(value))
        kept = [value if is_reward(value) else 0.0 for value in rewards]
    packed = floats.pack(*kept)
    lost = [
        place
        for place, value, rounded in zip(range(count), rewards, floats.unpack(packed), strict=False)
        if value != rounded
    ]
    packed_logps = _pack_logps(logps)
    exact_logps = b"" if unpack_logps(packed_logps) == logps else struct.pack(f"<{len(logps)}d", *logps)
    exact = b""
    if lost or exact_logps:
        values = struct.pack(f"<{len(lost)}d", *[rewards[place] for place in lost])
        places = _mask(sum(1 << place for place in lost), count)
        exact = _encode_exact(Exact(places, values, exact_logps))
    return Numbers(_mask(present, count) + packed, packed_logps, exact)


def unpack_rewards(packed: bytes, count: int) -> tuple[float | None, ...]:
    """The rewards as float32 has them; None for what is not there. Raises ValueError for another count."""
    _check_count(packed, count)
    mask = int.from_bytes(packed[: _mask_bytes(count)], "little")
    values = _masked_floats(count).unpack(packed)
    if mask == (1 << count) - 1:
        return values
    return tuple(value if mask >> place & 1 else None for place, value in enumerate(values))


def exact_rewards(packed: bytes, count: int, exact: bytes) -> tuple[float, ...]:
    """The rewards as they were. Raises ValueError for another count."""
    _check_count(packed, count)
    rounded = _masked_floats(count).unpack(packed)
    if not exact:
        return rounded
    kept = _decode_exact(exact)
    # What is not there was not in 0..1, and so its exact value was kept.
    values = _doubles(len(kept.rewards) // 8).unpack(kept.rewards)
    return _exact_places(kept.places, count, len(values))(rounded + values)


@lru_cache(maxsize=1024)
def _exact_places(mask: bytes, count: int, kept: int) -> Callable[[tuple[float, ...]], tuple[float, ...]]:
    """Picks from rounded and exact values, one behind the other: the exact one where the mask has a bit."""
    bits, picked, exact = int.from_bytes(mask, "little"), list(range(count)), count
    for place in range(count):
        if bits >> place & 1:
            picked[place], exact = exact, exact + 1
    if exact != count + kept:
        raise ValueError(f"{kept} exact rewards for {exact - count} places")
    if count > 1:
        return itemgetter(*picked)
    return lambda both: tuple([both[place] for place in picked])  # itemgetter makes no tuple of one


def unpack_logps(packed: bytes, exact: bytes = b"") -> tuple[float, ...]:
    """The log-probabilities as they were; without `exact`, as float32 has them."""
    if exact and (kept := _decode_exact(exact).logps):
        return _doubles(len(kept) // 8).unpack(kept)
    return _floats(len(packed) // 4).unpack(packed)


def pack_fingerprint(fingerprint: str) -> bytearray | str:
    """The bytes that the hexadecimal digits stand for; text of another kind stays as it is."""
    try:
        packed = bytearray.fromhex(fingerprint)
    except ValueError:
        return fingerprint
    return packed if packed.hex() == fingerprint else fingerprint


def unpack_fingerprint(packed: bytes | str) -> str:
    return packed if isinstance(packed, str) else packed.hex()


@cache
def _words(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}H")


@cache
def _floats(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}f")


@cache
def _masked_floats(count: int) -> struct.Struct:
    return struct.Struct(f"<{_mask_bytes(count)}x{count}f")


@cache
def _doubles(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}d")


def _check_count(packed: bytes, count: int) -> None:
    if len(packed) != _masked_floats(count).size:
        raise ValueError(f"{len(packed)} bytes do not hold {count} rewards")


def _mask_bytes(count: int) -> int:
    return (count + 7) // 8


def _mask(bits: int, count: int) -> bytes:
    return bits.to_bytes(_mask_bytes(count), "little")


def _pack_logps(logps: tuple[float, ...]) -> bytes:
    try:
        return _floats(len(logps)).pack(*logps)
    except OverflowError:  # beyond float32: infinite, and exact beside it
        most = 3.4e38
        clipped = [math.copysign(math.inf, value) if abs(value) > most else value for value in logps]
        return _floats(len(logps)).pack(*clipped)
