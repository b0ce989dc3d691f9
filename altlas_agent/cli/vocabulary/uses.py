"""What the store knows of tokens: the attempts of one run, or of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.cli.history.opening import has_runs, reading
from altlas_agent.evaluation.vocabulary.clusters import Programs
from altlas_agent.languages.usage.counts import Tally, Written
from storage.reading import queries
from storage.reading.filters import RunFilter, filtered_runs
from storage.runs.usage import token_uses

if TYPE_CHECKING:
    import sqlite3

    from storage.runs.usage import TokenUse


class Used(NamedTuple):
    """What was read; `programs` only where they are wanted."""

    tally: Tally
    programs: Programs | None
    runs: int = 0


def read_uses(
    home: str | None,
    run: str | None,
    task: str | None = None,
    *,
    with_pairs: bool = False,
    with_programs: bool = False,
) -> Used:
    """The attempts of one run or of all, at one task or at all; none when nothing was ever run in this home.

    Pairs of tokens and distinct programs are collected where they are wanted. Raises NotFoundError when there
    is no such run.
    """
    used = Used(Tally(with_pairs=with_pairs), Programs() if with_programs else None)
    if run is None and not has_runs(home):
        return used
    with reading(home) as connection:
        ids = _runs(connection, run)
        for run_id in ids:
            _read_run(connection, run_id, used, task)
    return used._replace(runs=len(ids))


def _runs(connection: sqlite3.Connection, run: str | None) -> list[int]:
    if run is not None:
        return [queries.find_run(connection, run).id]
    return [view.id for view in filtered_runs(connection, RunFilter(), limit=0)]


def _read_run(connection: sqlite3.Connection, run_id: int, used: Used, task: str | None) -> None:
    for page in token_uses(connection, run_id):
        uses = [use for use in page if _is_wanted(use, task)]
        used.tally.add(Written(use.tokens, use.solved) for use in uses)
        if used.programs is not None:
            for use in uses:
                used.programs.add(use.task, use.tokens, use.fingerprint, solved=use.solved)


def _is_wanted(use: TokenUse, task: str | None) -> bool:
    return task is None or task in (use.task, use.task.rpartition("/")[2])
