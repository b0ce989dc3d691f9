"""Sums that the writer keeps in the transactions that change them: nobody counts attempts to show a number.

tasks, runs   attempts and best score
tallies       attempts by task, status and whether they solved it
curves        count, successes, sum and maximum of the scores of each stretch of a run
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, TypeAlias, cast

if TYPE_CHECKING:
    import sqlite3

    from storage.packing.archive import NarrowRow

_Told: TypeAlias = "tuple[int, int, int, int, float, int]"
"""Run, number, task, status, score and whether it was solved: how the row of an attempt begins."""

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


def add(connection: sqlite3.Connection, fresh: list[NarrowRow]) -> None:
    """Count attempts that were just inserted."""
    # Gathered first and added up by `sum` and `max`: a loop that adds takes three times as long.
    tallies: defaultdict[tuple[int, int, int, int], list[float]] = defaultdict(list)
    stretches: defaultdict[tuple[int, int], list[_Told]] = defaultdict(list)
    for row in cast("list[_Told]", fresh):  # as far as it is looked at here
        run_id, number, task_id, status_id, score, solved = told = row[:6]
        tallies[run_id, task_id, status_id, solved].append(score)
        stretches[run_id, number // STRETCH].append(told)
    connection.executemany(ADD_TO_TALLY, [(*key, len(scores)) for key, scores in tallies.items()])
    connection.executemany(ADD_TO_CURVE, [_stretch(*key, told) for key, told in stretches.items()])
    for sql, place in ((ADD_TO_TASK, 1), (ADD_TO_RUN, 0)):
        connection.executemany(sql, _totals(tallies, place))


def _stretch(run_id: int, stretch: int, told: list[_Told]) -> tuple[int | float, ...]:
    _, _, _, statuses, scores, solved = zip(*told, strict=True)
    bits = sum({1 << status % STATUS_BITS for status in statuses})
    return run_id, stretch, len(told), sum(solved), sum(scores), max(scores), bits


def _totals(
    tallies: dict[tuple[int, int, int, int], list[float]], place: int
) -> list[tuple[int, float, int]]:
    """Count and best score by what stands at this place of a key: once each, because the rows are long."""
    scores: defaultdict[int, list[float]] = defaultdict(list)
    for key, more in tallies.items():
        scores[key[place]] += more
    return [(len(each), max(each), number) for number, each in scores.items()]
