"""Programs that can be searched for: what solved a task and what came nearest, each program once.

The writer lets the index follow the attempts a little behind, when nobody waits for it. The index holds no
text: a row has the id of the attempt that stands for its program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from storage.bodies.reading import Library

if TYPE_CHECKING:
    import sqlite3

POSITION_NAME = "search"

POSITION = f"SELECT position FROM positions WHERE name = '{POSITION_NAME}'"
MOVE = (
    f"INSERT INTO positions (name, position) VALUES ('{POSITION_NAME}', ?) "
    "ON CONFLICT (name) DO UPDATE SET position = excluded.position"
)
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
    f"AND b.id <= ({POSITION}) AND (b.solved OR b.score >= t.best_score) LIMIT 1"
)


def index(connection: sqlite3.Connection, *, limit: int) -> bool:
    """Look at the next `limit` attempts, in the caller's transaction; True when there are more.

    An attempt of the best score that its task has by now is worthy, and so is one that solved it.
    """
    begin = (connection.execute(POSITION).fetchone() or (0,))[0]
    last = connection.execute(LAST_ATTEMPT).fetchone()[0] or 0
    end = min(begin + limit, last)
    if begin >= last:
        return False
    library = Library(connection)
    for attempt, body in connection.execute(WORTHY, (begin, end)).fetchall():
        if connection.execute(MARK, (body, attempt)).rowcount:
            connection.execute(INSERT, (attempt, library.text(body)))
    connection.execute(MOVE, (end,))
    return end < last


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
