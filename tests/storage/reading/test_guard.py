"""What a stranger may ask of the database, and what is refused: everything that is no question."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import DatabaseDamagedError, NotFoundError, UsageError
from storage import search
from storage.database import open_writer, transaction
from storage.reading.guard import LONGEST, Guarded, open_guarded
from storage.reading.published import LONGEST_TEXT, VIEWS
from storage.rows import AttemptRow, EventRow, Rows, attempt_row
from tests.builders import NOW_NS, make_attempt_rows, make_judged, make_run_row, make_task, store, store_run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDLESS = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
GONE = 2**22 + 1
"""A process number that Linux does not give."""

WRITING = [
    "DELETE FROM runs",
    "INSERT INTO runs (id) VALUES (9)",
    "UPDATE runs SET name = 'x'",
    "CREATE TABLE x (a)",
    "CREATE TEMP TABLE x (a)",
    "CREATE TEMP VIEW x AS SELECT 1",
    "DROP VIEW v_runs",
    "DROP TABLE runs",
    "ALTER TABLE runs ADD COLUMN x",
    "VACUUM",
    "REINDEX",
    "ANALYZE",
    "BEGIN IMMEDIATE",
    "SAVEPOINT x",
    "ROLLBACK",
    "DETACH main",
    "PRAGMA writable_schema = 1",
    "PRAGMA query_only = 0",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA table_info(runs)",
    "SELECT * FROM pragma_table_info('runs')",
    "SELECT load_extension('x')",
    "SELECT fts3_tokenizer('simple')",
    "SELECT * FROM dbstat",
]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """r1 has 120 attempts, the last of which is long; r2 says it is running, but its process is gone."""
    path: Path = tmp_path_factory.mktemp("guard") / "where? #1 100%.db"
    with closing(open_writer(path)) as connection:
        store_run(connection, make_run_row("first"), [make_task("add"), make_task("greet")])
        store_run(connection, make_run_row("killed", pid=GONE), [make_task("add")])
        long = attempt_row(
            1, make_judged(120, score=1.0, solved=True, code="x = 1\n" * LONGEST_TEXT), ts_ns=NOW_NS
        )
        scored = attempt_row(2, make_judged(1, code="print('needle')"), ts_ns=NOW_NS)
        events = [
            EventRow(1, 1, "Note", 0, NOW_NS, None, b"\x82\xa4type\xa4Note\xa4text\xa2hi"),
            _told(scored),
        ]
        store(connection, Rows(attempts=[*make_attempt_rows(1, range(1, 120)), long, scored], events=events))
        with transaction(connection):
            search.index(connection, limit=1000)
    return path


@pytest.fixture
def guarded(path: Path) -> Iterator[Guarded]:
    with open_guarded(path) as connection:
        yield connection


@pytest.fixture
def hasty(path: Path) -> Iterator[Guarded]:
    """It gives a question half a second."""
    with open_guarded(path, seconds=0.5) as connection:
        yield connection


@pytest.mark.parametrize("sql", WRITING)
def test_what_is_no_question_is_refused(guarded: Guarded, sql: str) -> None:
    with pytest.raises(UsageError, match=r"the query was refused .* only SELECT is allowed"):
        guarded.ask(sql)


@pytest.mark.parametrize("sql", ["ATTACH '{}' AS other", "VACUUM INTO '{}'"])
def test_no_other_file_is_made(guarded: Guarded, tmp_path: Path, sql: str) -> None:
    other = tmp_path / "other.db"
    with pytest.raises(UsageError, match="the query was refused"):
        guarded.ask(sql.format(other))
    assert not other.exists()


def test_the_file_is_the_same_afterwards(path: Path) -> None:
    before = hashlib.sha256(path.read_bytes()).digest()
    for sql in [*WRITING, "SELECT * FROM v_attempts"]:
        with open_guarded(path) as guarded:
            try:
                guarded.ask(sql)
            except UsageError:
                continue
    assert hashlib.sha256(path.read_bytes()).digest() == before


def test_an_endless_question_is_ended(hasty: Guarded) -> None:
    began = time.process_time()
    with pytest.raises(UsageError, match=r"took longer than 0\.5 s"):
        hasty.ask(ENDLESS)
    assert time.process_time() - began < 2


def test_the_next_question_has_its_own_time(hasty: Guarded) -> None:
    with pytest.raises(UsageError, match="took longer"):
        hasty.ask(ENDLESS)
    assert hasty.ask("SELECT 1").rows == [(1,)]


def test_a_huge_value_is_refused_at_once(guarded: Guarded) -> None:
    began = time.process_time()
    with pytest.raises(UsageError, match=f"longer than {LONGEST} bytes"):
        guarded.ask("SELECT length(hex(zeroblob(300000000)))")
    assert time.process_time() - began < 0.4


def test_a_pattern_that_would_take_for_ever_is_refused(guarded: Guarded) -> None:
    with pytest.raises(UsageError, match="pattern too complex"):
        guarded.ask(f"SELECT number FROM v_attempts WHERE code LIKE '{'%x' * 200}'")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("SELEC 1", 'near "SELEC": syntax error'),
        ("SELECT * FROM nowhere", "no such table: nowhere"),
        ("SELECT nobody FROM v_runs", "no such column: nobody"),
        ("SELECT 1; DELETE FROM runs", "one statement at a time"),
        ("SELECT ?", "bindings"),
        ("SELECT '\0'", "null character"),
        ("SELECT '\udcff'", "surrogates"),
        ("", "there is no SELECT in it"),
        ("-- nothing", "there is no SELECT in it"),
    ],
)
def test_what_is_not_understood_is_said_why(guarded: Guarded, sql: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        guarded.ask(sql)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT count(*) FROM v_attempts", [(121,)]),
        ("SELECT count(*) FROM v_attempts WHERE run_id = 1 AND task = 'quickstart/add'", [(120,)]),
        ("SELECT value FROM json_each('[1, 2]')", [(1,), (2,)]),
        ("SELECT name FROM sqlite_master WHERE name = 'runs'", [("runs",)]),
        (
            "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 3) SELECT max(x) FROM c",
            [(3,)],
        ),
        (
            "SELECT run_id, number FROM v_attempts WHERE id IN (SELECT rowid FROM program_search('needle'))",
            [(2, 1)],
        ),
    ],
)
def test_questions_are_answered(guarded: Guarded, sql: str, rows: list[tuple[object, ...]]) -> None:
    assert guarded.ask(sql).rows == rows


def test_runs_have_the_status_that_is_true(guarded: Guarded) -> None:
    assert guarded.ask("SELECT name, status, started FROM v_runs").rows == [
        ("first", "running", "2027-01-15T08:00:00Z"),
        ("killed", "crashed", "2027-01-15T08:00:00Z"),
    ]


def test_texts_are_read_and_numbers_unpacked(guarded: Guarded) -> None:
    [row] = guarded.ask(
        "SELECT code, stdout, arm, status, parts, tokens, logps, fingerprint, cases FROM v_attempts "
        "WHERE run_id = 2 AND number = 1"
    ).rows
    code, stdout, arm, status, parts, tokens, logps, fingerprint, cases = row
    assert json.loads(str(cases))[0] == {"passed": True, "hidden": False, "got": '"8"'}
    assert (code, stdout, arm, status) == ("print('needle')", "8\n", "policy", "success")
    assert json.loads(str(parts)) == {"output": 0.5, "syntax": 1.0}
    assert (tokens, logps, fingerprint) == ("[1,20,300]", "[-0.5,-1.25,0.0]", "fingerprint-1")


def test_a_text_that_is_too_long_is_cut(guarded: Guarded) -> None:
    [(code,)] = guarded.ask("SELECT code FROM v_attempts WHERE run_id = 1 AND number = 120").rows
    assert code == ("x = 1\n" * LONGEST_TEXT)[:LONGEST_TEXT]


def test_events_are_json_whatever_they_told_of(guarded: Guarded) -> None:
    rows = guarded.ask("SELECT run_id, seq, type, attempt, event FROM v_events").rows
    assert [row[:4] for row in rows] == [(1, 1, "Note", None), (2, 1, "AttemptScored", 1)]
    assert json.loads(str(rows[0][4])) == {"type": "Note", "text": "hi"}
    assert json.loads(str(rows[1][4]))["judged"]["attempt"]["code"] == "print('needle')"


def test_every_promised_column_is_there(guarded: Guarded) -> None:
    for view, columns in VIEWS.items():
        assert guarded.ask(f"SELECT * FROM {view}").names == tuple(columns)


def test_rows_are_cut_and_that_is_said(guarded: Guarded) -> None:
    cut = guarded.ask("SELECT number FROM v_attempts WHERE run_id = 1 ORDER BY number", limit=3)
    assert (cut.rows, cut.is_cut) == ([(1,), (2,), (3,)], True)
    whole = guarded.ask("SELECT number FROM v_attempts WHERE run_id = 1", limit=0)
    assert (len(whole.rows), whole.is_cut) == (120, False)
    assert not guarded.ask("SELECT number FROM v_attempts WHERE run_id = 1", limit=120).is_cut


def test_columns_of_one_name_can_be_told_apart(guarded: Guarded) -> None:
    assert guarded.ask("SELECT 1 AS a, 2 AS a, 3 AS b, 4 AS a").names == ("a", "a_2", "b", "a_3")


def test_an_answer_leaves_nothing_open(guarded: Guarded, path: Path) -> None:
    guarded.ask("SELECT number FROM v_attempts", limit=1)
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def test_a_damaged_text_is_said_to_be_damaged(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "damaged.db"
    shutil.copy(path, copy)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("UPDATE bodies SET data = x'00'")
        connection.commit()
    with open_guarded(copy) as guarded, pytest.raises(DatabaseDamagedError, match="altlas db check"):
        guarded.ask("SELECT code FROM v_attempts")


def test_without_a_database_there_is_nothing_to_ask(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="there are no runs yet"), open_guarded(tmp_path / "none.db"):
        pass


def test_the_journal_of_the_daemon_is_no_run(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "altlas.db")) as connection:
        store_run(connection, make_run_row("first"), [make_task("add")])
        with transaction(connection):
            connection.execute(
                "INSERT INTO runs (id, name, suite, seed, status, reason, started_ns, version, pid, jail_rung, "
                "jail_layers, attempts, solved, tasks, wall_s, settings_json) "
                "VALUES (0, '', '', 0, 'ended', '', 0, '', 0, '', '[]', 0, 0, 0, 0, '{}')"
            )
    with open_guarded(tmp_path / "altlas.db") as guarded:
        assert guarded.ask("SELECT run_id FROM v_runs").rows == [(1,)]


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT code FROM v_attempts WHERE run_id = 1 AND number = 7", "ix_attempts_run_number"),
        ("SELECT code FROM v_attempts WHERE run_id = 1 AND task = 'a/b'", "ix_attempts_task_number"),
        ("SELECT code FROM v_attempts WHERE run_id = 1 ORDER BY score DESC LIMIT 5", "ix_attempts_run_score"),
        ("SELECT code FROM v_attempts WHERE run_id = 1 AND solved = 1", "ix_attempts_run_solved"),
    ],
)
def test_the_views_are_read_by_the_indexes(guarded: Guarded, sql: str, index: str) -> None:
    steps = " ".join(str(row[3]) for row in guarded.ask(f"EXPLAIN QUERY PLAN {sql}").rows)
    assert f"SEARCH a USING INDEX {index}" in steps
    assert "TEMP B-TREE" not in steps


def _told(row: AttemptRow) -> EventRow:
    return EventRow(2, 1, "AttemptScored", 0, NOW_NS, None, row)
