"""Programs that can be searched for: what solved a task and what came nearest, each program once.

The writer lets the index follow the attempts a little behind, when nobody waits for it. The index holds no
text: a row has the id of the attempt that stands for its program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.bodies.reading import Library
from storage.positions import next_lot

if TYPE_CHECKING:
    import sqlite3

NAME = "search"
"""Of the position."""

LAST_ATTEMPT = "SELECT max(id) FROM attempts"
WORTHY = (
    "SELECT a.id, a.code_id FROM attempts AS a CROSS JOIN tasks AS t ON t.id = a.task_id "
    "WHERE a.id > ?1 AND a.id <= ?2 AND (a.solved OR a.score >= t.best_score) "
    "AND NOT EXISTS (SELECT 1 FROM searched_bodies AS s WHERE s.body_id = a.code_id) ORDER BY a.id"
)
MARK = "INSERT INTO searched_bodies (body_id, attempt_id) VALUES (?, ?) ON CONFLICT (body_id) DO NOTHING"
INSERT = "INSERT INTO program_search (rowid, code) VALUES (?, ?)"
STANDING = (
    "SELECT a.id, a.code_id FROM attempts AS a CROSS JOIN searched_bodies AS s ON s.body_id = a.code_id "
    "WHERE a.run_id = ? AND a.number <= ? AND s.attempt_id = a.id"
)
UNMARK = "DELETE FROM searched_bodies WHERE body_id = ?"
REMOVE = "INSERT INTO program_search (program_search, rowid, code) VALUES ('delete', ?, ?)"
HEIR = (
    "SELECT b.id FROM attempts AS a CROSS JOIN fingerprints AS f ON f.fingerprint = a.fingerprint "
    "CROSS JOIN attempts AS b ON b.id = f.attempt_id "
    "CROSS JOIN tasks AS t ON t.id = b.task_id "
    "WHERE a.id = ? AND b.code_id = a.code_id AND b.run_id <> a.run_id "
    f"AND b.id <= (SELECT position FROM positions WHERE name = '{NAME}') AND (b.solved OR b.score >= t.best_score) LIMIT 1"
)


def index(connection: sqlite3.Connection, *, limit: int) -> bool:
    """Look at the next `limit` attempts, in the caller's transaction; True when there are more.

    An attempt of the best score that its task has by now is worthy, and so is one that solved it.
    """
    lot = next_lot(connection, NAME, LAST_ATTEMPT, limit=limit)
    library = Library(connection)
    for attempt, body in connection.execute(WORTHY, lot[:2]).fetchall():
        if connection.execute(MARK, (body, attempt)).rowcount:
            connection.execute(INSERT, (attempt, library.text(body)))
    return lot.has_more


def forget(connection: sqlite3.Connection, run_id: int, last: int) -> None:
    """Take attempts of a run up to number `last` out of the index, before they are deleted.

    Another attempt of the same program, in another run, stands for it from now on.
    """
    library = Library(connection)
    for attempt, body in connection.execute(STANDING, (run_id, last)).fetchall():
        connection.execute(REMOVE, (attempt, text := library.text(body)))
        connection.execute(UNMARK, (body,))
        if heir := connection.execute(HEIR, (attempt,)).fetchone():
            connection.execute(MARK, (body, heir[0]))
            connection.execute(INSERT, (heir[0], text))


def expression(words: str) -> str:
    """The FTS5 expression for rows that hold every one of these words, whatever signs are among them."""
    return " ".join('"' + word.replace('"', '""') + '"' for word in words.replace("\0", " ").split())
