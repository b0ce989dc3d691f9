"""A text to what is stored of it, and back: BLAKE2b-128 of its UTF-8, zstd of level 3 with a dictionary.

dictionary -1   the bytes as they are: compressing would not make them fewer
dictionary  0   zstd without a dictionary
dictionary  n   zstd with the dictionary of this number
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import zstandard

from altlas_agent.core.errors import DatabaseDamagedError, StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

AS_IS = -1
NO_DICTIONARY = 0

_BARE = {"write_content_size": 0, "write_checksum": 0, "write_dict_id": 0}
"""The size and the number of the dictionary stand beside the frame, in the row."""

_WITHOUT = {"compression_level": 3}
_WITH_DICTIONARY = {
    "window_log": 16,
    "hash_log": 14,
    "chain_log": 13,
    "search_log": 1,
    "min_match": 5,
    "strategy": zstandard.STRATEGY_DFAST,
}
"""As level 3, with tables that fit into the nearer caches beside those of the database: a fifth less time for
2 % more bytes. What is longer than the window of 64 KB is compressed in parts."""

HASH_BYTES = 16
MIN_BYTES = 24
"""What is shorter is stored as it is."""

MAX_BYTES = 256 * 1024 * 1024
"""No text is that long: whatever claims to be is damaged, and must not be given memory."""

DICTIONARY_BYTES = 32 * 1024

_NOT_SAID = -1
"""What zstandard answers for a frame without a size."""


class Packed(NamedTuple):
    """A stored text: `size` is its length in UTF-8, `data` what is kept of it."""

    hash: bytes
    dictionary: int
    size: int
    data: bytes


def hash_of(raw: bytes) -> bytes:
    return blake2b(raw, digest_size=HASH_BYTES).digest()


class Packer:
    """Packs with one dictionary, or without."""

    def __init__(self, number: int = NO_DICTIONARY, dictionary: bytes = b"") -> None:
        self.number = number
        data = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
        parameters = zstandard.ZstdCompressionParameters(**(_WITH_DICTIONARY if data else _WITHOUT), **_BARE)
        if data:
            # Otherwise it is digested anew for every text. Its stub does not say that it returns nothing.
            data.precompute_compress(compression_params=parameters)  # pyright: ignore[reportUnknownMemberType]
        self._compress = zstandard.ZstdCompressor(dict_data=data, compression_params=parameters).compress

    def pack(self, raw: bytes) -> tuple[int, int, bytearray]:
        """The fields of `Packed` behind the hash. Raises StorageError for what is too long.

        As bytearray, because the driver of the database spends as long on other bytes as on five numbers.
        """
        size = len(raw)
        if size > MAX_BYTES:
            raise StorageError(f"a text of {size} bytes cannot be stored: {MAX_BYTES} is the most")
        if size >= MIN_BYTES:
            data = self._compress(raw)
            if len(data) < size:
                return self.number, size, bytearray(data)
        return AS_IS, size, bytearray(raw)


class Unpacker:
    """Unpacks texts of any dictionary. `find` returns a dictionary by its number, b"" for one that is gone."""

    def __init__(self, find: Callable[[int], bytes]) -> None:
        self._find = find
        self._decompressors: dict[int, zstandard.ZstdDecompressor] = {}

    def unpack(self, packed: Packed) -> str:
        """The text. Raises DatabaseDamagedError when it is not what was stored."""
        digest, dictionary, size, data = packed
        raw = data if dictionary == AS_IS else self._decompressed(packed)
        if len(raw) != size or hash_of(raw) != digest:
            raise _damaged(packed, "its content does not match its hash")
        return raw.decode()

    def _decompressed(self, packed: Packed) -> bytes:
        if not 0 <= packed.size <= MAX_BYTES:
            raise _damaged(packed, f"it claims {packed.size} bytes")
        try:
            if zstandard.frame_content_size(packed.data) != _NOT_SAID:
                raise _damaged(packed, "its frame claims a size")  # and would be given memory for it
            return self._decompressor(packed).decompress(packed.data, max_output_size=packed.size)
        except (zstandard.ZstdError, MemoryError) as error:
            raise _damaged(packed, str(error)) from error

    def _decompressor(self, packed: Packed) -> zstandard.ZstdDecompressor:
        number = packed.dictionary
        if number not in self._decompressors:
            dictionary = self._find(number) if number != NO_DICTIONARY else b""
            if number != NO_DICTIONARY and not dictionary:
                raise _damaged(packed, f"its dictionary {number} is missing")
            data = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
            self._decompressors[number] = zstandard.ZstdDecompressor(dict_data=data)
        return self._decompressors[number]


def train(samples: Sequence[bytes]) -> bytes:
    """A dictionary for texts like these; b"" when they are too few or too alike to make one."""
    size = min(DICTIONARY_BYTES, sum(map(len, samples)) // 8)
    try:
        # With k and d given nothing is tried out: it takes some 10 ms.
        return zstandard.train_dictionary(size, list(samples), k=200, d=8).as_bytes()
    except (zstandard.ZstdError, ValueError):
        return b""


def _damaged(packed: Packed, detail: str) -> DatabaseDamagedError:
    return DatabaseDamagedError(
        f"the stored text {packed.hash.hex()} is damaged: {detail}; see: altlas db check, altlas db recover"
    )
