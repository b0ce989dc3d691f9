"""Sums that the writer keeps in the transactions that change them: nobody counts attempts to show a number.

tasks, runs   attempts and best score
tallies       attempts by task, status and whether they solved it
curves        count, successes, sum and maximum of the scores of each stretch of a run
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import sqlite3

    from storage.packing.archive import NarrowRow

STRETCH = 100
"""How many attempts of a run, by number, make one point of its curve."""

STATUS_BITS = 60

ADD_TO_TASK = (
    "UPDATE tasks SET attempts = attempts + ?1, best_score = max(coalesce(best_score, ?2), ?2) WHERE id = ?3"
)
ADD_TO_RUN = (
    "UPDATE runs SET attempts = attempts + ?1, best_score = max(coalesce(best_score, ?2), ?2) WHERE id = ?3"
)
ADD_TO_TALLY = (
    "INSERT INTO tallies (run_id, task_id, status_id, solved, attempts) VALUES (?, ?, ?, ?, ?) "
    "ON CONFLICT (run_id, task_id, status_id, solved) DO UPDATE SET attempts = attempts + excluded.attempts"
)
ADD_TO_CURVE = (
    "INSERT INTO curves (run_id, stretch, attempts, solved, score_sum, score_max, statuses) "
    "VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (run_id, stretch) DO UPDATE SET attempts = attempts + excluded.attempts, "
    "solved = solved + excluded.solved, score_sum = score_sum + excluded.score_sum, "
    "score_max = max(score_max, excluded.score_max), statuses = statuses | excluded.statuses"
)


@dataclass(slots=True)
class _Sum:
    """Attempts added up."""

    attempts: int = 0
    solved: int = 0
    score_sum: float = 0.0
    score_max: float = -math.inf
    statuses: int = 0


def add(connection: sqlite3.Connection, fresh: list[NarrowRow]) -> None:
    """Count attempts that were just inserted."""
    tallies: defaultdict[tuple[int, int, int, int], _Sum] = defaultdict(_Sum)
    curves: defaultdict[tuple[int, int], _Sum] = defaultdict(_Sum)
    for row in fresh:
        run_id, number, task_id, status_id, score, solved = cast(
            "tuple[int, int, int, int, float, int]", row[:6]
        )
        stretch = curves[run_id, number // STRETCH]
        for each in (stretch, tallies[run_id, task_id, status_id, solved]):
            each.attempts += 1
            each.score_sum += score
            if score > each.score_max:
                each.score_max = score
        stretch.solved += solved
        stretch.statuses |= 1 << status_id % STATUS_BITS
    connection.executemany(ADD_TO_TALLY, [(*key, each.attempts) for key, each in tallies.items()])
    connection.executemany(ADD_TO_CURVE, [(*key, *astuple(each)) for key, each in curves.items()])
    for sql, place in ((ADD_TO_TASK, 1), (ADD_TO_RUN, 0)):
        connection.executemany(sql, _totals(tallies, place))


def _totals(tallies: dict[tuple[int, int, int, int], _Sum], place: int) -> list[tuple[int, float, int]]:
    """Count and best score by what stands at this place of a key: the row of a run is long to write."""
    counts: defaultdict[int, int] = defaultdict(int)
    best: dict[int, float] = {}
    for key, each in tallies.items():
        number = key[place]
        counts[number] += each.attempts
        best[number] = max(each.score_max, best.get(number, each.score_max))
    return [(count, best[number], number) for number, count in counts.items()]
