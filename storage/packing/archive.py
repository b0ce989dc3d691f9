"""Attempts to narrow rows: labels, reward schemas, tasks and texts become the numbers of their rows.

Used inside a transaction of the writer, by one thread. After a rollback an archive is thrown away: it
remembers numbers that do not exist.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

from storage.bodies.shelf import Shelf
from storage.packing.vectors import pack_fingerprint
from storage.rows import texts_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from storage.rows import AttemptRow

LABELS = "SELECT text, id FROM labels"
REWARD_SCHEMAS = "SELECT names, id FROM reward_schemas"
LAST_NUMBER = "SELECT max(number) FROM attempts WHERE run_id = ?"
TASK_ID = "SELECT id FROM tasks WHERE run_id = ? AND key = ?"
INSERT_LABEL = "INSERT INTO labels (text) VALUES (?)"
INSERT_REWARD_SCHEMA = "INSERT INTO reward_schemas (names) VALUES (?)"

_json = msgspec.json.Encoder()


COLUMNS = (
    *("run_id", "number", "task_id", "status_id", "score", "solved"),  # what `storage.rollups` adds up
    *(
        "group_no",
        "instance",
        "policy_version",
        "arm_id",
        "passed",
        "total",
        "fingerprint",
        "cpu_s",
        "wall_s",
    ),
    *(
        "max_rss_mb",
        "rung_id",
        "engine_id",
        "ts_ns",
        "reward_schema_id",
        "rewards",
        "exact",
        "tokens",
        "logps",
        "cases",
    ),
    *("code_id", "stdout_id", "stderr_id", "violations_id", "feedback_id", "strategy_id"),
)
"""The columns of `attempts` in the order in which an archive fills them."""

NarrowRow: TypeAlias = "tuple[int | float | str | bytearray | None, ...]"


class Archive:
    """What the writer knows of the database of a connection, so that it need not ask for each attempt."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._shelf = Shelf(connection)
        self._labels = _Labels(connection)
        self._schemas = _Schemas(connection)
        self._tasks = _Tasks(connection)
        self._last_numbers = _LastNumbers(connection)

    def followed(self) -> None:
        """What follows the attempts has caught up."""
        self._shelf.followed()

    def forget_tasks(self) -> None:
        """Ask for every task again: some may be gone."""
        self._tasks.clear()

    def are_behind_all(self, attempts: Iterable[AttemptRow]) -> bool:
        """True if each of them has a higher number than all those of its run that are stored or before it.

        Then none of them can be stored already. They are to be stored now.
        """
        last = self._last_numbers
        for row in attempts:
            run_id, _, number = row[:3]
            if number <= last[run_id]:
                return False
            last[run_id] = number
        return True

    def narrow(self, attempts: Sequence[AttemptRow]) -> list[NarrowRow]:
        """The rows to insert. Texts, labels and schemas that they name are in the database after this.

        The task of an attempt is None when its run has no such task: the database refuses the row.
        """
        bodies = self._shelf.put(text for row in attempts for text in texts_of(row))
        return [self._row(row, bodies) for row in attempts]

    def _row(self, row: AttemptRow, bodies: Mapping[str | None, int | None]) -> NarrowRow:
        labels = self._labels
        # Unpacked at once: to ask a named tuple for each of its fields takes three times as long.
        # fmt: off
        (
            run_id, task, number, group_no, instance_id, policy_version, arm, status, score, solved, passed, total,
            fingerprint, cpu_s, wall_s, max_rss_mb, rung, engine, ts_ns, reward_names, rewards, exact, tokens,
            logps, cases, code, stdout, stderr, violations, feedback, strategy,
        ) = row
        # No bool and no bytes: the driver spends as long on one of them as on five numbers.
        return (
            run_id, number, self._tasks[run_id, task], labels[status], score, int(solved), group_no,
            instance_id.partition("#")[2] if "#" in instance_id else None, policy_version, labels[arm], passed,
            total, pack_fingerprint(fingerprint), cpu_s, wall_s, max_rss_mb, labels[rung], labels[engine], ts_ns,
            self._schemas[reward_names], bytearray(rewards), bytearray(exact), bytearray(tokens),
            bytearray(logps), bytearray(cases), bodies[code], bodies[stdout], bodies[stderr], bodies[violations],
            bodies[feedback], bodies[strategy],
        )
        # fmt: on


class _Labels(dict[str, int]):
    """Labels to their numbers; a new one is stored."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__(connection.execute(LABELS).fetchall())
        self._connection = connection

    def __missing__(self, text: str) -> int:
        self[text] = number = _insert(self._connection, INSERT_LABEL, text)
        return number


class _Schemas(dict[tuple[str, ...], int]):
    """Names of rewards to the numbers of their schemas; a new one is stored."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        stored = connection.execute(REWARD_SCHEMAS).fetchall()
        super().__init__(
            (msgspec.json.decode(names, type=tuple[str, ...]), number) for names, number in stored
        )
        self._connection = connection

    def __missing__(self, names: tuple[str, ...]) -> int:
        self[names] = number = _insert(self._connection, INSERT_REWARD_SCHEMA, _json.encode(names).decode())
        return number


class _Tasks(dict[tuple[int, str], int | None]):
    """Run and key to the number of the task. What is not there is asked for again."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__()
        self._connection = connection

    def __missing__(self, key: tuple[int, str]) -> int | None:
        row = self._connection.execute(TASK_ID, key).fetchone()
        if row is None:
            return None
        self[key] = number = int(row[0])
        return number


class _LastNumbers(dict[int, int]):
    """Runs to the highest number among their attempts."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        super().__init__()
        self._connection = connection

    def __missing__(self, run_id: int) -> int:
        self[run_id] = number = int(self._connection.execute(LAST_NUMBER, (run_id,)).fetchone()[0] or 0)
        return number


def _insert(connection: sqlite3.Connection, sql: str, text: str) -> int:
    number = connection.execute(sql, (text,)).lastrowid
    assert number is not None, "an INSERT of one row has a row id"
    return number
