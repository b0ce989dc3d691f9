"""A long history: how soon a page of it is there, and what `altlas run list` takes as a whole process.

Pages are asked for at random places, on a reading connection, and decoded; the slowest kind of page counts.
Their time is that of this thread on a core: what else the machine does has no part in it. The baseline is a
page by OFFSET, not decoded, at a random place of the same history.
"""

from __future__ import annotations

import gc
import random
import resource
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from itertools import islice
from statistics import median, quantiles
from typing import TYPE_CHECKING

import msgspec

from altlas_agent import __version__
from altlas_agent.core.records import Status
from altlas_agent.evaluation.benches.attempts import TASKS, attempts, task
from altlas_agent.evaluation.benches.measures import below
from storage import fingerprints, search
from storage.bodies import hashes
from storage.database import FILE_NAME, open_reader, open_writer, transaction
from storage.inserts import begin_run, end_run, insert
from storage.packing.archive import Archive
from storage.reading import queries
from storage.reading.views import AttemptFilter
from storage.rows import AttemptRow, EndRow, EventRow, Rows, RunRow, attempt_row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

    from altlas_agent.evaluation.benches.measures import Measure

RUNS = 40
PAGE = 50
PAGES_PER_ROUND = 40
"""How often each kind of page is asked for."""

_GROUP = 5000
_PATTERNS = 500
_COMMAND_S = 60.0
_NOW_NS = 1_800_000_000_000_000_000
_BY_OFFSET = "SELECT * FROM attempts WHERE run_id = ? ORDER BY number DESC LIMIT ? OFFSET ?"


def history(home: Path, rounds: int, rows: int) -> list[Measure]:
    """Fills a database with `rows` attempts first."""
    home.mkdir()
    chance = random.Random(7)
    per_run = max(rows // RUNS, 1)
    fill(home / FILE_NAME, per_run, chance)
    taken: dict[str, list[float]] = {}
    gc.collect()
    gc.freeze()  # a command that shows a page has nothing else to look through
    with closing(open_reader(home / FILE_NAME)) as connection:
        for _ in range(rounds * PAGES_PER_ROUND):
            for name, page in _pages(connection, per_run, chance).items():
                began = time.thread_time()
                page()
                taken.setdefault(name, []).append((time.thread_time() - began) * 1e3)
    bare = _p99(taken.pop("offset"))
    slowest = max(_p99(times) for times in taken.values())
    lists = [_cpu_s(["-m", "altlas_agent", "run", "list", "--home", str(home)]) for _ in range(rounds)]
    empty = [_cpu_s(["-c", "pass"]) for _ in range(rounds)]
    return [
        below("history_page_p99_ms", slowest, bare, unit="ms", bar=5.0),
        below("run_list_cpu_s", median(lists), median(empty), unit="s", bar=0.25),
    ]


def fill(path: Path, per_run: int, chance: random.Random) -> None:
    """`RUNS` runs of this many attempts each, with their events, and everything that follows them."""
    with closing(open_writer(path)) as connection:
        archive = Archive(connection)
        patterns = [
            attempt_row(0, judged, ts_ns=_NOW_NS)
            for judged in islice(attempts(first=1, chance=chance), _PATTERNS)
        ]
        for number in range(RUNS):
            with transaction(connection):
                run_id = begin_run(connection, _run(number), [task(key) for key in TASKS])
            for first in range(1, per_run + 1, _GROUP):
                some = range(first, min(first + _GROUP, per_run + 1))
                with transaction(connection):
                    insert(connection, _rows(run_id, some, patterns, chance), archive)
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            with transaction(connection):
                end_run(connection, EndRow(run_id, "ended", "", _NOW_NS + number))
        _follow(connection)


def _rows(run_id: int, numbers: range, patterns: list[AttemptRow], chance: random.Random) -> Rows:
    rows = Rows()
    for number in numbers:
        pattern = patterns[number % len(patterns)]
        row = pattern._replace(
            run_id=run_id,
            number=number,
            group_no=number // 8,
            policy_version=number // 64,
            fingerprint=chance.randbytes(16).hex(),
            score=1.0 if pattern.solved else chance.random() * 0.95,
            code=f"{pattern.code[:200]}\nprint({number}, {run_id})" if pattern.solved else pattern.code,
        )
        rows.attempts.append(row)
        rows.events.append(EventRow(run_id, number, "AttemptScored", number, _NOW_NS, None, row))
    return rows


def _follow(connection: sqlite3.Connection) -> None:
    is_left = True
    while is_left:
        with transaction(connection):
            is_left = fingerprints.follow(connection, limit=20_000)
            is_left = hashes.follow(connection, limit=20_000) or is_left
            is_left = search.index(connection, limit=20_000) or is_left
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _pages(
    connection: sqlite3.Connection, per_run: int, chance: random.Random
) -> dict[str, Callable[[], object]]:
    """One page of each kind, at a random place; functions of `connection`, so that only reading is timed."""
    run_id, number = chance.randint(1, RUNS), chance.randint(1, per_run)
    task_id = queries.task_ids(connection, run_id, chance.choice(TASKS))[0]
    (best,) = queries.best_attempts(connection, run_id, limit=1)
    behind = msgspec.structs.replace(best, score=chance.random(), number=number)
    word, before = str(number), chance.randint(1, per_run * RUNS)
    filters = {
        "all": AttemptFilter(run_id=run_id),
        "solved": AttemptFilter(run_id=run_id, solved=True),
        "status": AttemptFilter(run_id=run_id, status=Status.TIMEOUT),
        "score": AttemptFilter(run_id=run_id, min_score=0.94),
        "task": AttemptFilter(run_id=run_id, task_id=task_id),
        "task and status": AttemptFilter(run_id=run_id, task_id=task_id, status=Status.ERROR),
    }
    pages: dict[str, Callable[[], object]] = {
        name: partial(queries.attempts_page, connection, which, before=number, limit=PAGE)
        for name, which in filters.items()
    }
    offset = (run_id, PAGE, chance.randrange(per_run))
    return pages | {
        "best": lambda: queries.best_attempts(connection, run_id, after=behind, limit=PAGE),
        "one": lambda: queries.find_attempt(connection, run_id, number),
        "events": lambda: queries.events_page(connection, run_id, after=number, limit=PAGE),
        "curve": lambda: queries.curve(connection, run_id, after=number // 200, limit=PAGE),
        "tasks": lambda: queries.tasks_of(connection, run_id),
        "runs": lambda: queries.runs_page(connection, limit=PAGE),
        "search": lambda: queries.search_attempts(connection, "print", before=before, limit=PAGE),
        "search in a run": lambda: queries.search_attempts(connection, "print", run_id=run_id, limit=PAGE),
        "search for one": lambda: queries.search_attempts(connection, f"print {word}", limit=PAGE),
        "offset": lambda: connection.execute(_BY_OFFSET, offset).fetchall(),
    }


def _cpu_s(words: list[str]) -> float:
    """User and system time of a process of this interpreter."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], capture_output=True, check=True, timeout=_COMMAND_S)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


def _run(number: int) -> RunRow:
    return RunRow(
        name=f"run-{number}",
        suite="bench",
        seed=number,
        started_ns=_NOW_NS,
        version=__version__,
        pid=1,
        settings_json="{}",
    )
