"""Texts to their numbers: every text is stored once, however often attempts show it.

Used inside a transaction of the writer, by one thread. After a rollback a shelf is thrown away: it
remembers numbers that do not exist.
"""

from __future__ import annotations

from collections import deque
from time import time_ns
from typing import TYPE_CHECKING

from storage.bodies.codec import MIN_BYTES, NO_DICTIONARY, Packer, hash_of, train
from storage.bodies.hashes import Hashes

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

FIRST_DICTIONARY_AT = 1000
"""A dictionary is made of so many texts; the next ones when there are 16 times as many, and so on."""

DICTIONARY_GROWTH = 16

_REMEMBERED_BYTES = 4_000_000
_BYTES_BESIDE = 200
"""What a remembered text takes beside its characters, roughly: without it, short ones would fill ten times as much."""

_SAMPLES = 500
_SAMPLE_BYTES = 4096

NEWEST_BODY = "SELECT max(id) FROM bodies"
NEWEST_DICTIONARY = "SELECT id, data FROM dictionaries ORDER BY id DESC LIMIT 1"
INSERT_BODY = "INSERT INTO bodies (id, hash, dictionary, size, data) VALUES (?, ?, ?, ?, ?)"
INSERT_SPARE = "INSERT INTO spare_dictionaries (id, hash, data) VALUES (?, ?, ?)"
INSERT_DICTIONARY = "INSERT INTO dictionaries (id, hash, made_ns, data) VALUES (?, ?, ?, ?)"


class Shelf:
    """Puts texts into the database of a connection, and makes a dictionary when there is enough to learn from."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._next = (connection.execute(NEWEST_BODY).fetchone()[0] or 0) + 1
        number, dictionary = connection.execute(NEWEST_DICTIONARY).fetchone() or (NO_DICTIONARY, b"")
        self._use(int(number), bytes(dictionary))
        self._hashes = Hashes(connection)
        self._samples: deque[bytes] = deque(maxlen=_SAMPLES)
        # Two generations instead of a list of what was used when: what is asked for again stays.
        self._young = _nothing_known()
        self._old = _nothing_known()
        self._young_bytes = 0

    def followed(self) -> None:
        """The index of hashes has caught up."""
        self._hashes.followed()

    def put(self, texts: Iterable[str | None]) -> Mapping[str | None, int | None]:
        """Store those texts that are new. Returns the numbers of them all, and None for None."""
        if self._young_bytes > _REMEMBERED_BYTES:
            self._old, self._young, self._young_bytes = self._young, _nothing_known(), 0
        known = self._young
        distinct = dict.fromkeys(texts)  # and not a set: numbers are given in order
        strange = [text for text in distinct if text is not None and text not in known]
        if strange:
            self._remember({text: old for text in strange if (old := self._old.get(text))})
            self._store([text for text in strange if text not in known])
            self._learn_if_due()
        return known

    def _remember(self, numbers: dict[str, int]) -> None:
        self._young.update(numbers)
        self._young_bytes += sum(map(len, numbers)) + _BYTES_BESIDE * len(numbers)

    def _store(self, texts: list[str]) -> None:
        raws = [text.encode() for text in texts]
        self._samples.extend([raw[:_SAMPLE_BYTES] for raw in raws if len(raw) >= MIN_BYTES])
        digests = [hash_of(raw) for raw in raws]
        stored = self._hashes.find(digests)
        pack = self._packer.pack
        numbers: dict[str, int] = {}
        fresh: dict[bytes, int] = {}
        rows: list[tuple[int, bytearray, int, int, bytearray]] = []
        for text, raw, digest in zip(texts, raws, digests, strict=True):
            number = stored.get(digest)
            if number is None:
                number = fresh[digest] = self._next
                self._next += 1
                rows.append((number, bytearray(digest), *pack(raw)))
            numbers[text] = number
        self._connection.executemany(INSERT_BODY, rows)
        self._hashes.add(fresh)
        self._remember(numbers)

    def _learn_if_due(self) -> None:
        if self._next <= self._train_at or len(self._samples) < FIRST_DICTIONARY_AT // 2:
            return
        self._train_at *= DICTIONARY_GROWTH  # also when it fails: not again with every group
        if data := train(self._samples):
            self.add_dictionary(data)

    def add_dictionary(self, data: bytes) -> None:
        """Pack with this dictionary from now on."""
        number = self._packer.number + 1
        self._connection.execute(INSERT_DICTIONARY, (number, hash_of(data), time_ns(), data))
        self._connection.execute(INSERT_SPARE, (number, hash_of(data), data))
        self._use(number, data)

    def _use(self, number: int, data: bytes) -> None:
        self._packer = Packer(number, data)
        self._train_at = FIRST_DICTIONARY_AT * DICTIONARY_GROWTH**number


def _nothing_known() -> dict[str | None, int | None]:
    """Texts to their numbers, so far: that there is no text has none."""
    return {None: None}
