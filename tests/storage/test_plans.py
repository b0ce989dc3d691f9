"""How SQLite plans every shipped statement: none may scan the attempts, none may sort them."""

from __future__ import annotations

import re
from contextlib import closing
from itertools import product
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.records import Status
from storage import fingerprints, inserts, positions, rollups, search
from storage.bodies import hashes, reading, shelf
from storage.database import open_writer
from storage.packing import archive, stored
from storage.reading import queries
from storage.reading.views import AttemptFilter
from storage.rows import Rows
from storage.runs import deletion, exams, marks
from tests.builders import make_attempt_rows, make_run_row, make_task, store, store_run

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path


MODULES = (
    queries,
    fingerprints,
    inserts,
    rollups,
    search,
    reading,
    hashes,
    shelf,
    archive,
    stored,
    marks,
    deletion,
    exams,
    positions,
)


def _filters() -> Iterator[AttemptFilter]:
    for task_id, solved, status, min_score in product(
        (None, 1), (False, True), (None, Status.ERROR), (None, 0.5)
    ):
        yield AttemptFilter(run_id=1, task_id=task_id, solved=solved, status=status, min_score=min_score)


def _statements() -> dict[str, str]:
    found = {
        name: value
        for module in MODULES
        for name, value in vars(module).items()
        if isinstance(value, str) and re.match("(SELECT|INSERT|UPDATE|DELETE) .*(FROM|INTO|SET)", value)
    }
    for which in _filters():
        found[f"page {which}"] = queries.attempts_sql(which)
        found[f"count {which}"] = queries.attempts_count_sql(which)
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
                store(opened, Rows(attempts=make_attempt_rows(run_id, range(1, 500))))
            opened.execute("ANALYZE")
        yield opened


def test_the_statements_are_found() -> None:
    names = set(_statements())
    assert {
        "RUNS_PAGE",
        "TASKS_OF_RUN",
        "STORED_ATTEMPT",
        "_ATTEMPT",
        "_STORED_NUMBERS",
        "_CLOSE_STALE",
    } <= names
    assert {
        "BEST_ATTEMPTS",
        "SEARCH_ATTEMPTS",
        "EVENTS_PAGE",
        "CURVE",
        "WORTHY",
        "ADD_TO_CURVE",
        "BODY",
    } <= names
    assert len([name for name in names if name.startswith("page")]) == 16


def test_no_statement_scans_or_sorts_attempts(connection: sqlite3.Connection) -> None:
    faults = {name: step for name, sql in _statements().items() for step in _faults(connection, sql)}
    assert faults == {}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM attempts AS b WHERE b.cpu_s > ?",
        "SELECT number FROM attempts",
        "SELECT score FROM attempts WHERE run_id = ?1 ORDER BY cpu_s",
        "SELECT passed, count(*) FROM attempts WHERE run_id = :run GROUP BY passed",
    ],
)
def test_a_statement_that_does_is_caught(connection: sqlite3.Connection, sql: str) -> None:
    assert _faults(connection, sql)


def _faults(connection: sqlite3.Connection, sql: str) -> list[str]:
    aliases = "|".join({"attempts", *re.findall(r"attempts AS (\w+)", sql)})
    named: dict[str, None] = dict.fromkeys(re.findall(r":(\w+)", sql))
    parameters = named or [None] * _places(sql)
    steps = [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    return [step for step in steps if re.match(rf"SCAN ({aliases})\b", step) or "TEMP B-TREE" in step]


def _places(sql: str) -> int:
    numbered = [int(number) for number in re.findall(r"\?(\d+)", sql)]
    return max(numbered, default=0) or sql.count("?")
