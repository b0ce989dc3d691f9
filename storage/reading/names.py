"""What runs are called, for whoever completes a word: it imports nothing but sqlite3."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3

OFFERED = 50

NEWEST_NAMES = "SELECT id, name, suite, status FROM runs WHERE id > 0 ORDER BY id DESC LIMIT ?"

TAGS = "SELECT DISTINCT tag FROM run_tags ORDER BY tag LIMIT ?"


class Name(NamedTuple):
    """A run, as it is offered."""

    id: int
    name: str
    suite: str
    status: str


def newest(connection: sqlite3.Connection) -> list[Name]:
    """The newest runs, newest first."""
    return [Name._make(row) for row in connection.execute(NEWEST_NAMES, (OFFERED,)).fetchall()]


def tags(connection: sqlite3.Connection) -> list[str]:
    """Words that runs have, in their order."""
    return [tag for (tag,) in connection.execute(TAGS, (OFFERED,)).fetchall()]
