"""Numbers to their texts, on any connection; every text is checked against its hash."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from altlas_agent.core.errors import DatabaseDamagedError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection

# A damaged page may say that bytes are text: then the driver would fail before the hash is compared.
_PACKED = "CAST(hash AS BLOB), dictionary, size, CAST(data AS BLOB)"
BODY = f"SELECT {_PACKED} FROM bodies WHERE id = ?"
BODIES = f"SELECT id, {_PACKED} FROM bodies WHERE id IN (SELECT value FROM json_each(?))"
DICTIONARY = "SELECT data FROM dictionaries WHERE id = ?"


class Library:
    """Reads the texts of one database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._unpack_packed: Callable[[tuple[bytes, int, int, bytes]], str] | None = None

    def text(self, number: int) -> str:
        """Raises DatabaseDamagedError when the text is missing or is not what was stored."""
        row = self._connection.execute(BODY, (number,)).fetchone()
        if row is None:
            raise _missing(number)
        return self._unpack(row)

    def texts(self, numbers: Collection[int]) -> dict[int, str]:
        """Many at once, by their numbers. Raises as `text`."""
        rows = self._connection.execute(BODIES, (json.dumps(list(numbers)),)).fetchall()
        found = {row[0]: self._unpack(row[1:]) for row in rows}
        if missing := set(numbers) - set(found):
            raise _missing(min(missing))
        return found

    def _unpack(self, row: tuple[bytes, int, int, bytes]) -> str:
        if self._unpack_packed is None:
            # Imported here: zstandard takes as long to load as a short command runs, and a list needs no text.
            from storage.bodies.codec import Packed, Unpacker

            unpack, make = Unpacker(self._dictionary).unpack, Packed._make
            self._unpack_packed = lambda row: unpack(make(row))
        return self._unpack_packed(row)

    def _dictionary(self, number: int) -> bytes:
        row = self._connection.execute(DICTIONARY, (number,)).fetchone()
        return b"" if row is None else bytes(row[0])


def _missing(number: int) -> DatabaseDamagedError:
    return DatabaseDamagedError(f"the stored text {number} is missing; see: altlas db check")
