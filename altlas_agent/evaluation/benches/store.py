"""The store against bare `executemany`: attempts per CPU-second, how soon they are safe, and what they take.

    loop      waits for                unblocked by
    --------  -----------------------  -----------------------------
    _caller   the commit of its row    the writer, also by its end

Attempts are stored by 64 callers that each wait for the commit, by one that does not wait, and with
`executemany` as wide rows, in turns of as many rows as a group holds. All are equally durable, and the rows
are ready on both sides before the clock runs. CPU is that of this thread and of the writer's.
"""

from __future__ import annotations

import gc
import os
import random
import time
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from altlas_agent import __version__
from altlas_agent.evaluation.benches.attempts import TASKS, attempts, task
from altlas_agent.evaluation.benches.history import history
from altlas_agent.evaluation.benches.measures import Bench, below, faster, share
from altlas_agent.evaluation.benches.naive import Naive, wide_row
from storage.rows import Rows, RunRow, attempt_row
from storage.writer import Writer
from storage.writing.groups import GROUP_ROWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from altlas_agent.core.records import Judged
    from altlas_agent.evaluation.benches.measures import Measure
    from altlas_agent.evaluation.benches.naive import WideRow

CALLERS = 64
TURNS = 8
BY_SQLMODEL = 40
"""Rows in a round that SQLModel stores one by one."""

_NOW_NS = 1_800_000_000_000_000_000


@dataclass
class Round:
    """CPU-seconds for `TURNS * GROUP_ROWS` attempts each way, and for `BY_SQLMODEL` of them."""

    awaited: float = 0.0
    unawaited: float = 0.0
    naive: float = 0.0
    sqlmodel: float = 0.0
    acks_ms: list[float] = field(default_factory=list[float])
    commits_ms: list[float] = field(default_factory=list[float])


def bench(*, rounds: int, rows: int) -> Bench:
    """`rows` is how many attempts the history has whose pages are timed."""
    with TemporaryDirectory(prefix="altlas-bench-") as folder:
        measures = anyio.run(_ingest, Path(folder), rounds)
        return Bench(bench="store", measures=(*measures, *history(Path(folder) / "home", rounds, rows)))


async def _ingest(folder: Path, rounds: int) -> list[Measure]:
    path, naive_path = folder / "ours.db", folder / "naive.db"
    source = attempts(first=1, chance=random.Random(5))
    with closing(Naive(naive_path)) as naive:
        async with Writer(path) as writer:
            run_id = await writer.begin_run(_run(), [task(key) for key in TASKS])
            # One round more than is counted: the first one warms everything up and makes a dictionary.
            found = [await _round(source, run_id, writer, naive) for _ in range(rounds + 1)][1:]
        stored = 2 * TURNS * GROUP_ROWS * (rounds + 1)
        naive.copy_back()
    sizes = [await to_thread.run_sync(os.path.getsize, each) for each in (path, naive_path)]
    ours, wide = sizes[0] / stored, sizes[1] / (stored // 2)
    return [*_rates(found), share("bytes_per_attempt", ours, wide, unit="B", bar=0.25)]


async def _round(source: Iterator[Judged], run_id: int, writer: Writer, naive: Naive) -> Round:
    found = Round()
    for _ in range(TURNS):
        judged = list(islice(source, 2 * GROUP_ROWS))
        rows = [Rows(attempts=[attempt_row(run_id, each, ts_ns=_NOW_NS)]) for each in judged]
        wide = [wide_row(run_id, each, ts_ns=_NOW_NS) for each in judged[:GROUP_ROWS]]
        del judged
        gc.collect()
        gc.freeze()  # what was made ready is not looked through, on either side
        await _turn(found, rows, wide, writer=writer, naive=naive)
    judged = list(islice(source, BY_SQLMODEL))
    began = time.thread_time()
    for each in judged:
        naive.insert_by_sqlmodel(wide_row(run_id + 1, each, ts_ns=_NOW_NS))
    found.sqlmodel = time.thread_time() - began
    gc.unfreeze()
    return found


async def _turn(
    found: Round, rows: Sequence[Rows], wide: Sequence[WideRow], *, writer: Writer, naive: Naive
) -> None:
    began = time.process_time()
    await _awaited(writer, rows[:GROUP_ROWS], found.acks_ms)
    middle = time.process_time()
    for each in rows[GROUP_ROWS:]:
        await writer.submit(each)
    await writer.flush()
    bare, began_ms = time.thread_time(), time.perf_counter()
    naive.insert(wide)
    found.commits_ms.append((time.perf_counter() - began_ms) * 1e3)
    naive.copy_back()
    bare = time.thread_time() - bare
    found.naive += bare
    found.awaited += middle - began
    # What the writer did meanwhile, to look after its database, is counted too.
    found.unawaited += time.process_time() - middle - bare


async def _awaited(writer: Writer, rows: Sequence[Rows], acks_ms: list[float]) -> None:
    rest = iter(rows)

    async def caller() -> None:
        for each in rest:
            asked = time.perf_counter()
            await writer.durable(each)
            acks_ms.append((time.perf_counter() - asked) * 1e3)

    async with anyio.create_task_group() as callers:
        for _ in range(CALLERS):
            callers.start_soon(caller)


def _rates(found: list[Round]) -> list[Measure]:
    def rate(name: str, side: str, bar: float) -> Measure:
        return faster(
            name,
            median(count / getattr(each, side) for each in found),
            median(count / each.naive for each in found),
            unit="1/cpu-s",
            bar=bar,
            ratio=median(each.naive / getattr(each, side) for each in found),
        )

    count = TURNS * GROUP_ROWS
    acks, commits = (
        [ms for each in found for ms in getattr(each, name)] for name in ("acks_ms", "commits_ms")
    )
    return [
        rate("durable_awaited", "awaited", 0.45),
        rate("durable_unawaited", "unawaited", 0.7),
        below("ack_p99_ms", _p99(acks), median(commits), unit="ms", bar=100.0),
        faster(
            "sqlmodel_ratio",
            median(count / each.unawaited for each in found),
            median(BY_SQLMODEL / each.sqlmodel for each in found),
            unit="1/cpu-s",
            bar=20.0,
            ratio=median(each.sqlmodel / BY_SQLMODEL * count / each.unawaited for each in found),
        ),
    ]


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100)[98]


def _run() -> RunRow:
    return RunRow(
        name="bench",
        suite="bench",
        seed=5,
        started_ns=_NOW_NS,
        version=__version__,
        pid=os.getpid(),
        settings_json="{}",
    )
