"""How SQLite plans the statements behind the history commands: no scan and no sort of what may be long."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from storage.database import open_writer
from storage.reading import compare, events, export, filters, names, queries
from storage.reading.filters import Order, RunFilter
from storage.reading.views import AttemptFilter
from storage.rows import EventRow, Rows
from storage.runs import fates, usage
from tests.builders import make_attempt_rows, make_run_row, make_task, store, store_run

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

LONG = ("attempts", "events", "metrics", "bodies", "tasks", "curves")
"""What may be too long to be looked through, or to be sorted. Runs are few."""


def _statements() -> dict[str, str]:
    found = {
        f"{module.__name__}.{name}": value
        for module in (compare, events, export, fates, names, usage)
        for name, value in vars(module).items()
        if isinstance(value, str) and value.startswith("SELECT ")
    }
    for arm, version in (("policy", None), (None, 3), ("policy", 3)):
        which = AttemptFilter(run_id=1, arm=arm, version=version)  # type: ignore[arg-type]
        found[f"page {arm} {version}"] = queries.attempts_sql(which)
        found[f"count {arm} {version}"] = queries.attempts_count_sql(which)
    return found


@pytest.fixture(scope="module", params=["empty", "analysed"])
def connection(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sqlite3.Connection]:
    path: Path = tmp_path_factory.mktemp("plans") / "altlas.db"
    with closing(open_writer(path)) as opened:
        if request.param == "analysed":
            for seed in range(8):
                run_id = store_run(opened, make_run_row(seed=seed), [make_task("add"), make_task("negate")])
                told = [EventRow(run_id, seq, "Note", 0, 0, None, b"") for seq in range(1, 300)]
                store(opened, Rows(attempts=make_attempt_rows(run_id, range(1, 500)), events=told))
            opened.execute("ANALYZE")
        yield opened


def test_the_statements_are_found() -> None:
    assert {
        "storage.reading.events.NEXT_SEQS",
        "storage.reading.events.LAST_SEQS",
        "storage.reading.compare.CURVE_ROWS",
        "storage.reading.compare.TASK_RESULTS",
        "storage.reading.export.PROGRAMS_PAGE",
        "storage.reading.export.METRICS_PAGE",
        "storage.runs.fates.DROPPED_BETWEEN",
        "storage.runs.fates.TASK_SPEC",
        "storage.runs.fates.TOLD_FROM",
        "storage.runs.fates.UPDATED_AFTER",
        "storage.reading.names.NEWEST_NAMES",
        "storage.runs.usage.TOKENS_PAGE",
    } <= set(_statements())


def test_nothing_long_is_looked_through_or_sorted(connection: sqlite3.Connection) -> None:
    faults = {name: step for name, sql in _statements().items() for step in _faults(connection, sql)}
    assert faults == {}


@pytest.mark.parametrize("order", Order)
def test_a_list_of_runs_looks_at_runs_only(connection: sqlite3.Connection, order: Order) -> None:
    which = RunFilter(suite="a", status="ended", tags=("x",), since_ns=1)
    for sql in (filters.runs_sql(which, order), filters.runs_count_sql(which)):
        steps = _steps(connection, sql)
        assert not [step for step in steps if re.search(rf"SCAN ({'|'.join(LONG)})", step)]
        assert [step for step in steps if "SCAN g" in step or "SCAN run_tags" in step] == []


def test_the_newest_runs_are_read_in_their_order(connection: sqlite3.Connection) -> None:
    steps = _steps(connection, filters.runs_sql(RunFilter(), Order.NEWEST))
    assert [step for step in steps if "TEMP B-TREE FOR ORDER BY" in step] == []


def _faults(connection: sqlite3.Connection, sql: str) -> list[str]:
    aliases = "|".join({*LONG, *re.findall(rf"(?:{'|'.join(LONG)}) AS (\w+)", sql)})
    return [
        step
        for step in _steps(connection, sql)
        if re.match(rf"SCAN ({aliases})\b", step) or "TEMP B-TREE" in step
    ]


def _steps(connection: sqlite3.Connection, sql: str) -> list[str]:
    named: dict[str, None] = dict.fromkeys(re.findall(r":(\w+)", sql))
    parameters = named or [None] * sql.count("?")
    return [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
