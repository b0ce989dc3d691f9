"""Which texts are stored already: an index of their hashes that follows a moment behind.

Hashes come in no order, so that each would touch a page of its own in every commit. Here they come in larger
lots, when nobody waits; the writer remembers those that are newer.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from storage.positions import next_lot, position

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping

NAME = "body_hashes"
"""Of the position."""

_CHUNK = 64

LAST_BODY = "SELECT max(id) FROM bodies"
NEWER = "SELECT hash, id FROM bodies WHERE id > ?"
KNOWN = f"SELECT hash, body_id FROM body_hashes WHERE hash IN ({', '.join('?' * _CHUNK)})"
FOLLOW = (
    "INSERT INTO body_hashes (hash, body_id) SELECT hash, id FROM bodies WHERE id > ? AND id <= ? "
    "ON CONFLICT (hash) DO NOTHING"
)


def follow(connection: sqlite3.Connection, *, limit: int) -> bool:
    """Take in the next `limit` texts, in the caller's transaction; True when there are more."""
    lot = next_lot(connection, NAME, LAST_BODY, limit=limit)
    if lot.end > lot.begin:
        connection.execute(FOLLOW, lot[:2])
    return lot.has_more


class Hashes:
    """Finds the numbers of texts by their hashes, for the one who stores them.

    Used inside a transaction of the writer, by one thread. After a rollback it is thrown away: it remembers
    numbers that do not exist.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._newer: dict[bytes, int] = dict(
            connection.execute(NEWER, (position(connection, NAME),)).fetchall()
        )

    def find(self, digests: Iterable[bytes]) -> dict[bytes, int]:
        """The numbers of those texts that are stored."""
        newer = self._newer
        found = {digest: newer[digest] for digest in digests if digest in newer}
        rest = (bytearray(digest) for digest in digests if digest not in newer)
        while chunk := list(islice(rest, _CHUNK)):
            chunk += [bytearray()] * (_CHUNK - len(chunk))  # the statement is the same for any count
            found.update(self._connection.execute(KNOWN, chunk).fetchall())
        return found

    def add(self, numbers: Mapping[bytes, int]) -> None:
        """These texts were stored just now."""
        self._newer.update(numbers)

    def followed(self) -> None:
        """The index has caught up: what is in it need not be remembered."""
        reached = position(self._connection, NAME)
        self._newer = {digest: number for digest, number in self._newer.items() if number > reached}
