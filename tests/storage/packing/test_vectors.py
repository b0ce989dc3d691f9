"""Numbers to packed bytes and back: float32 for those who count, exact for those who must know."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from storage.packing.vectors import (
    exact_rewards,
    pack,
    pack_fingerprint,
    pack_tokens,
    unpack_fingerprint,
    unpack_logps,
    unpack_rewards,
    unpack_tokens,
)

FLOATS = st.lists(st.floats() | st.floats(0, 1), max_size=70)


@given(rewards=FLOATS, logps=FLOATS)
@example(rewards=[math.nan, -0.0, 2.0, 1 / 3, 1.0], logps=[-math.inf, 1e300, -0.1])
def test_nothing_is_lost(rewards: list[float], logps: list[float]) -> None:
    packed = pack(rewards, tuple(logps))
    assert _bits(exact_rewards(packed.rewards, len(rewards), packed.exact)) == _bits(rewards)
    assert _bits(unpack_logps(packed.logps, packed.exact)) == _bits(logps)


@given(rewards=FLOATS)
def test_a_reward_that_is_not_finite_or_out_of_range_is_never_stored(rewards: list[float]) -> None:
    found = unpack_rewards(pack(rewards, ()).rewards, len(rewards))
    for value, kept in zip(rewards, found, strict=True):
        if 0.0 <= value <= 1.0:
            assert kept == struct.unpack("<f", struct.pack("<f", value))[0]
        else:
            assert kept is None


def test_rewards_are_a_mask_and_little_endian_float32_in_order() -> None:
    assert pack([0.5, math.nan, 1.0], ()).rewards == b"\x05" + struct.pack("<3f", 0.5, 0.0, 1.0)
    assert len(pack([0.25] * 12, ()).rewards) == 2 + 48


def test_what_float32_holds_needs_nothing_beside_it() -> None:
    assert pack([0.0, 0.25, 1.0], (-0.5, -math.inf)).exact == b""
    assert pack([0.1], ()).exact != b""


@pytest.mark.parametrize("packed", [b"", b"\x01", b"\x01" + bytes(3), bytes(10)])
def test_bytes_of_another_length_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="do not hold 1 rewards"):
        unpack_rewards(packed, 1)


def test_tokens_are_packed_little_endian_and_come_back() -> None:
    assert pack_tokens((1, 258)) == b"\x01\x00\x02\x01"
    assert unpack_tokens(pack_tokens((0, 1, 65535))) == (0, 1, 65535)
    assert unpack_tokens(b"") == ()


def test_a_token_too_big_for_the_store_is_refused() -> None:
    with pytest.raises(struct.error):
        pack_tokens((65536,))


@given(text=st.text() | st.binary().map(bytes.hex))
@example(text="AB")
@example(text="ab cd")
@example(text="")
def test_a_fingerprint_comes_back_whatever_it_is(text: str) -> None:
    packed = pack_fingerprint(text)
    assert unpack_fingerprint(packed if isinstance(packed, str) else bytes(packed)) == text


def test_a_fingerprint_takes_half_the_bytes_of_its_digits() -> None:
    assert pack_fingerprint("00ff" * 8) == bytearray.fromhex("00ff" * 8)


def _bits(values: list[float] | tuple[float, ...]) -> list[bytes]:
    """Numbers as bytes, so that a NaN equals itself and -0.0 is not 0.0."""
    return [struct.pack("<d", value) for value in values]
