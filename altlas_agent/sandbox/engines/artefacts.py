"""Compiled programs, remembered by what they were made of and with."""

from __future__ import annotations

from collections import OrderedDict
from hashlib import blake2b

CAPACITY_BYTES = 64 * 1024 * 1024


class Artefacts:
    """At most `capacity_bytes` of them; the least recently used are forgotten first."""

    def __init__(self, capacity_bytes: int = CAPACITY_BYTES) -> None:
        self.hits = self.misses = 0
        self.size_bytes = 0
        self._capacity_bytes = capacity_bytes
        self._kept: OrderedDict[bytes, bytes] = OrderedDict()

    @staticmethod
    def key(source: str, compiler: str, command: tuple[str, ...]) -> bytes:
        """Source, compiler and flags: no part can pass for another."""
        parts = [source.encode(), compiler.encode(), *(word.encode() for word in command)]
        digest = blake2b(digest_size=20)
        for part in parts:
            digest.update(len(part).to_bytes(8, "big") + part)
        return digest.digest()

    def get(self, key: bytes) -> bytes | None:
        """What was compiled before, counted as a hit or a miss."""
        found = self._kept.get(key)
        if found is None:
            self.misses += 1
            return None
        self.hits += 1
        self._kept.move_to_end(key)
        return found

    def put(self, key: bytes, artefact: bytes) -> None:
        """Keep it, and forget others for it; what is larger than all room is not kept."""
        if key in self._kept or len(artefact) > self._capacity_bytes:
            return
        self._kept[key] = artefact
        self.size_bytes += len(artefact)
        while self.size_bytes > self._capacity_bytes:
            self.size_bytes -= len(self._kept.popitem(last=False)[1])
