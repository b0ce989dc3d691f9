"""How each test of an attempt went as packed bytes, and back.

msgpack of pairs: 1 for passed, 2 for hidden, and what the program gave. Nearly every attempt has a text of
its own here, so that it lies in the row, and not among the texts that attempts share. What is long is
deflated; the first byte tells: 0x78 begins no list in msgpack.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import DatabaseDamagedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from altlas_agent.core.records import CaseResult

LONG_BYTES = 128
MAX_BYTES = 256 * 1024 * 1024
"""Nothing is that long: whatever claims to be is damaged, and must not be given memory."""

_LEVEL = 1
_DEFLATED = b"\x78"
_PASSED, _HIDDEN = 1, 2

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[tuple[int, str]]).decode


def pack_cases(cases: Iterable[CaseResult]) -> bytes:
    packed = _encode([(case.passed | case.hidden << 1, case.got) for case in cases])
    return packed if len(packed) <= LONG_BYTES else zlib.compress(packed, _LEVEL)


def unpack_cases(packed: bytes) -> list[tuple[bool, bool, str]]:
    """Passed, hidden and what the program gave. Raises DatabaseDamagedError for bytes of another kind."""
    try:
        if packed.startswith(_DEFLATED):
            packed = zlib.decompressobj().decompress(packed, MAX_BYTES)
        return [(bool(flags & _PASSED), bool(flags & _HIDDEN), got) for flags, got in _decode(packed)]
    except (zlib.error, msgspec.MsgspecError) as error:
        raise DatabaseDamagedError(
            f"the stored tests of an attempt are damaged: {error}; see: altlas db check, altlas db recover"
        ) from error
