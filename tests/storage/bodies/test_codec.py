"""Texts to stored bytes and back: nothing is changed on the way, and nothing that was changed comes back."""

from __future__ import annotations

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from altlas_agent.core.errors import DatabaseDamagedError
from storage.bodies.codec import AS_IS, NO_DICTIONARY, Packed, Packer, Unpacker, hash_of, train

PROGRAMS = [
    f"def f{n}(xs):\n    return sum(xs) + {n * 7} // len(xs) - {n % 13}\n".encode() for n in range(600)
]
DICTIONARY = train(PROGRAMS)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


def _pack(text: str, packer: Packer) -> Packed:
    dictionary, size, data = packer.pack(text.encode())
    return Packed(hash_of(text.encode()), dictionary, size, bytes(data))


def _unpacker(dictionary: bytes = DICTIONARY) -> Unpacker:
    return Unpacker(lambda number: dictionary if number == 1 else b"")


@given(text=TEXTS)
@example(text="")
@example(text="x" * 100_000)
@example(text="\0\n\u2028 \U0001f600")
def test_a_text_comes_back_with_and_without_a_dictionary(text: str) -> None:
    for packer in (Packer(), Packer(1, DICTIONARY)):
        assert _unpacker().unpack(_pack(text, packer)) == text


def test_a_dictionary_makes_short_programs_much_shorter() -> None:
    plain = sum(len(Packer().pack(raw)[2]) for raw in PROGRAMS)
    assert sum(len(Packer(1, DICTIONARY).pack(raw)[2]) for raw in PROGRAMS) < plain / 2


def test_what_compressing_would_not_make_shorter_is_kept_as_it_is() -> None:
    assert _pack("print(5 + 3)", Packer()).dictionary == AS_IS
    assert _pack("print(5 + 3)" * 10, Packer()).dictionary == NO_DICTIONARY


@given(text=st.text("abc ()+=\n", min_size=30, max_size=200), place=st.floats(0, 1), bit=st.integers(0, 7))
def test_a_flipped_bit_is_found(text: str, place: float, bit: int) -> None:
    packed = _pack(text, Packer(1, DICTIONARY))
    for part in ("data", "hash"):
        changed = bytearray(packed.data if part == "data" else packed.hash)
        changed[min(int(place * len(changed)), len(changed) - 1)] ^= 1 << bit
        damaged = (
            packed._replace(data=bytes(changed)) if part == "data" else packed._replace(hash=bytes(changed))
        )
        try:
            assert _unpacker().unpack(damaged) == text  # a bit that means nothing
        except DatabaseDamagedError as error:
            assert "is damaged" in error.message  # noqa: PT017 - damage may also go unseen, see above


@pytest.mark.parametrize("size", [-1, 0, 29, 31, 2**20, 2**40, 2**62])
def test_a_size_that_is_not_that_of_the_text_is_found(size: int) -> None:
    packed = _pack("print(12345)\nprint(12345)\nprint(12345)\n", Packer())
    with pytest.raises(DatabaseDamagedError):
        _unpacker().unpack(packed._replace(size=size))


def test_a_frame_that_asks_for_much_memory_is_given_none() -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=True).compress(bytes(300_000_000))
    with pytest.raises(DatabaseDamagedError, match="claims a size"):
        _unpacker().unpack(Packed(hash_of(b""), NO_DICTIONARY, 100, bomb))
    silent = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(300_000_000))
    with pytest.raises(DatabaseDamagedError):
        _unpacker().unpack(Packed(hash_of(b""), NO_DICTIONARY, 100, silent))


@pytest.mark.parametrize("garbage", [b"", b"\0", b"\x28\xb5\x2f\xfd", b"not zstd at all"])
def test_garbage_is_called_damaged(garbage: bytes) -> None:
    with pytest.raises(DatabaseDamagedError):
        _unpacker().unpack(Packed(hash_of(b"x"), NO_DICTIONARY, 1, garbage))


def test_a_text_whose_dictionary_is_gone_or_another_one_is_damaged() -> None:
    packed = _pack(PROGRAMS[3].decode(), Packer(1, DICTIONARY))
    assert packed.dictionary == 1
    with pytest.raises(DatabaseDamagedError, match="its dictionary 1 is missing"):
        _unpacker(b"").unpack(packed)
    for other in (DICTIONARY[:-100], train([raw[::-1] for raw in PROGRAMS]), b"\xff" * 1000):
        with pytest.raises(DatabaseDamagedError):
            _unpacker(other).unpack(packed)


def test_too_few_samples_make_no_dictionary() -> None:
    assert train([b"abc"] * 5) == train([]) == b""
