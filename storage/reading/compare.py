"""What two runs are compared by: their tasks, and their curves at the same numbers of attempts."""

from __future__ import annotations

import json
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, cast

from storage.rollups import STRETCH

if TYPE_CHECKING:
    import sqlite3

Scalar: TypeAlias = bool | int | float | str | None

TASK_RESULTS = "SELECT key, solved_attempt, attempts, best_score FROM tasks WHERE run_id = ? ORDER BY key"
CURVE_ROWS = (
    "SELECT stretch, attempts, solved, score_sum, score_max FROM curves WHERE run_id = ? ORDER BY stretch"
)
LAST_STRETCH = "SELECT max(stretch) FROM curves WHERE run_id = ?"


class TaskResult(NamedTuple):
    """What became of a task in a run."""

    key: str
    solved_attempt: int | None
    """The number of the attempt that first solved it."""
    attempts: int
    best_score: float | None


class Step(NamedTuple):
    """A part of a run: the attempts up to number `until`, from where the step before it ended."""

    until: int
    attempts: int
    solved: int
    """How many of these attempts solved their task."""
    mean_score: float
    best_score: float


def task_results(connection: sqlite3.Connection, run_id: int) -> list[TaskResult]:
    """What became of the tasks of a run, by their keys."""
    return [TaskResult._make(row) for row in connection.execute(TASK_RESULTS, (run_id,)).fetchall()]


def step_width(connection: sqlite3.Connection, run_ids: list[int], *, steps: int) -> int:
    """How many stretches make a step, so that the longest of these runs has at most `steps` of them."""
    last = max(connection.execute(LAST_STRETCH, (run_id,)).fetchone()[0] or 0 for run_id in run_ids)
    return last // steps + 1


def curve_steps(connection: sqlite3.Connection, run_id: int, *, width: int) -> list[Step]:
    """The curve of a run in steps of `width` stretches, oldest first."""
    rows: list[tuple[int, int, int, float, float]] = connection.execute(CURVE_ROWS, (run_id,)).fetchall()
    return [
        _step((place + 1) * width, list(part)) for place, part in groupby(rows, lambda row: row[0] // width)
    ]


def _step(stretches: int, rows: list[tuple[int, int, int, float, float]]) -> Step:
    _, attempts, solved, sums, highest = zip(*rows, strict=True)
    return Step(stretches * STRETCH, sum(attempts), sum(solved), sum(sums) / sum(attempts), max(highest))


def flat_settings(text: str) -> dict[str, Scalar]:
    """Settings by dotted keys, from their JSON; a list is one value, as JSON."""
    flat: dict[str, Scalar] = {}

    def walk(tree: dict[str, object], prefix: str) -> None:
        for name, value in tree.items():
            if isinstance(value, dict):
                walk(cast("dict[str, object]", value), f"{prefix}{name}.")
            elif value is None or isinstance(value, bool | int | float | str):
                flat[prefix + name] = value
            else:
                flat[prefix + name] = json.dumps(value)

    walk(json.loads(text), "")
    return flat
