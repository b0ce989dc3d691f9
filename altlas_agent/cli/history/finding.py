"""Which attempts a list shows: a page of what is wanted, over one run or all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.errors import NotFoundError
from altlas_agent.core.records import Arm, Record, Status
from storage.reading import queries
from storage.reading.views import AttemptFilter, AttemptLine, RunView

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    from altlas_agent.cli.naming.arguments import Place


class Wanted(Record):
    """Which attempts; `before` is the one that the page goes on behind, `limit` 0 means all."""

    run: str | None = None
    task: str | None = None
    solved: bool = False
    status: Status | None = None
    min_score: float | None = None
    arm: Arm | None = None
    version: int | None = None
    before: Place | None = None
    limit: int = 50

    @property
    def is_whole_run(self) -> bool:
        """True when one run is asked for and nothing else."""
        return self.run is not None and self == Wanted(run=self.run, limit=self.limit)


class Found(Record):
    """A page of attempts; `total` is how many are wanted in all, None where counting would take too long."""

    lines: list[AttemptLine]
    total: int | None
    is_cut: bool


NOTHING = Found(lines=[], total=0, is_cut=False)


def best(connection: sqlite3.Connection, wanted: Wanted) -> Found:
    """The best attempts of a run."""
    run = queries.find_run(connection, wanted.run or "")
    lines = queries.best_attempts(connection, run.id, limit=wanted.limit or -1)
    return Found(lines=lines, total=run.attempts, is_cut=len(lines) < run.attempts)


def newest(connection: sqlite3.Connection, wanted: Wanted) -> Found:
    """The newest attempts that are wanted. Raises NotFoundError for a run or a task that is not there."""
    lines: list[AttemptLine] = []
    counts: list[int | None] = []
    size = wanted.limit + 1 if wanted.limit else 0  # one more tells whether there are more
    last = queries.find_run(connection, wanted.before.run).id if wanted.before else None
    for run in _runs(connection, wanted):
        filters = list(_filters(connection, run, wanted))
        counts += [_count(connection, which) for which in filters]
        if (last is None or run.id <= last) and (not size or len(lines) < size):
            before = wanted.before.number if wanted.before and run.id == last else queries.NEWEST
            lines += _page(connection, filters, before, limit=size - len(lines) if size else 0)
    is_cut = bool(size) and len(lines) == size
    known = [count for count in counts if count is not None]
    return Found(
        lines=lines[: wanted.limit] if is_cut else lines,
        total=sum(known) if len(known) == len(counts) else None,
        is_cut=is_cut,
    )


def _page(
    connection: sqlite3.Connection, filters: list[AttemptFilter], before: int, *, limit: int
) -> list[AttemptLine]:
    """The newest attempts of one run; several filters where several of its tasks share a short name."""
    lines = [
        line
        for which in filters
        for line in queries.attempts_page(connection, which, before=before, limit=limit)
    ]
    lines.sort(key=lambda line: -line.number)
    return lines[:limit] if limit else lines


def _count(connection: sqlite3.Connection, which: AttemptFilter) -> int | None:
    return queries.count_attempts(connection, which) if which.is_counted else None


def _runs(connection: sqlite3.Connection, wanted: Wanted) -> list[RunView]:
    """The runs that hold wanted attempts, newest first."""
    if wanted.run is None:
        runs = queries.runs_page(connection, limit=0)
    else:
        runs = [queries.find_run(connection, wanted.run)]
    if wanted.task is None:
        return runs
    runs = [run for run in runs if queries.task_ids(connection, run.id, wanted.task)]
    if not runs:
        raise NotFoundError("task", wanted.task, "the tasks of a run are: altlas run show RUN")
    return runs


def _filters(connection: sqlite3.Connection, run: RunView, wanted: Wanted) -> Iterator[AttemptFilter]:
    task_ids: list[int | None] = [None]
    if wanted.task is not None:
        task_ids = [*queries.task_ids(connection, run.id, wanted.task)]
    for task_id in task_ids:
        yield AttemptFilter(
            run_id=run.id,
            task_id=task_id,
            solved=wanted.solved,
            status=wanted.status,
            min_score=wanted.min_score,
            arm=wanted.arm,
            version=wanted.version,
        )
