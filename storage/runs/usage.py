"""Which tokens the attempts of a run are made of, and how they went: pages of narrow rows, without texts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from storage.packing.vectors import unpack_fingerprint, unpack_tokens
from storage.reading.queries import last_number

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

PAGE = 2000

# CROSS JOIN keeps the attempts outside, where their index gives the order.
TOKENS_PAGE = (
    "SELECT a.number, t.key, t.language, a.tokens, a.score, a.solved, a.fingerprint "
    "FROM attempts AS a CROSS JOIN tasks AS t ON t.id = a.task_id "
    "WHERE a.run_id = ? AND a.number > ? AND a.number <= ? ORDER BY a.number LIMIT ?"
)


class TokenUse(NamedTuple):
    """One attempt by its tokens; those that no policy wrote have none."""

    number: int
    task: str
    language: str
    tokens: tuple[int, ...]
    score: float
    solved: bool
    fingerprint: str


def token_uses(connection: sqlite3.Connection, run_id: int) -> Iterator[list[TokenUse]]:
    """The attempts of a run that have tokens, oldest first, up to the last one there is now."""
    after, last = -1, last_number(connection, run_id)
    while rows := connection.execute(TOKENS_PAGE, (run_id, after, last, PAGE)).fetchall():
        yield [
            TokenUse(
                number, task, language, unpack_tokens(tokens), score, bool(solved), unpack_fingerprint(print_)
            )
            for number, task, language, tokens, score, solved, print_ in rows
            if tokens
        ]
        after = rows[-1][0]
