"""Numbers to their texts, on any connection; every text is checked against its hash."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.errors import DatabaseDamagedError

if TYPE_CHECKING:
    import sqlite3

    from storage.bodies.codec import Unpacker

# A damaged page may say that bytes are text: then the driver would fail before the hash is compared.
BODY = "SELECT CAST(hash AS BLOB), dictionary, size, CAST(data AS BLOB) FROM bodies WHERE id = ?"
DICTIONARY = "SELECT data FROM dictionaries WHERE id = ?"


class Library:
    """Reads the texts of one database."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._unpacker: Unpacker | None = None

    def text(self, number: int) -> str:
        """Raises DatabaseDamagedError when the text is missing or is not what was stored."""
        # Imported here: zstandard takes as long to load as a short command runs, and a list needs no text.
        from storage.bodies.codec import Packed, Unpacker

        row = self._connection.execute(BODY, (number,)).fetchone()
        if row is None:
            raise DatabaseDamagedError(f"the stored text {number} is missing; see: altlas db check")
        if self._unpacker is None:
            self._unpacker = Unpacker(self._dictionary)
        return self._unpacker.unpack(Packed(*row))

    def _dictionary(self, number: int) -> bytes:
        row = self._connection.execute(DICTIONARY, (number,)).fetchone()
        return b"" if row is None else bytes(row[0])
