"""Questions in SQL: answered in every form, and refused with one message when they are none."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from storage.reading.published import VIEWS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tests.cli.history.examples import Altlas


def test_a_question_is_answered(altlas: Altlas, filled: Path) -> None:
    done = altlas("query", "SELECT run_id, attempts, solved, tags FROM v_runs ORDER BY run_id")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()[:2]] == [
        ["run_id", "attempts", "solved", "tags"],
        ["1", "61", "1", '["best","kept"]'],
    ]


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("DELETE FROM runs", "the query was refused"),
        ("ATTACH 'x.db' AS x", "the query was refused"),
        ("SELECT load_extension('x')", "the query was refused"),
        ("SELEC 1", "syntax error"),
        ("SELECT * FROM nowhere", "no such table: nowhere"),
        ("SELECT 1; SELECT 2", "one statement at a time"),
        ("", "there is no SELECT in it"),
    ],
)
def test_bad_sql_is_one_clear_error(altlas: Altlas, filled: Path, sql: str, said: str) -> None:
    done = altlas("query", sql, "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["kind"]) == (2, "usage")
    assert said in error["message"]
    assert done.stderr == f"altlas: {error['message']}\n"
    assert [path.name for path in filled.parent.iterdir()] == ["home"]


def test_a_question_that_takes_too_long_is_ended(altlas: Altlas, filled: Path) -> None:
    endless = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
    done = altlas("query", endless, "--timeout", "0.3")
    assert (done.returncode, done.stdout) == (2, "")
    assert "took longer than 0.3 s" in done.stderr


def test_rows_beyond_the_limit_are_said_to_be_missing(altlas: Altlas, filled: Path) -> None:
    sql = "SELECT number FROM v_attempts"
    done = altlas("query", sql, "--limit", "3", "--csv")
    assert len(done.stdout.splitlines()) == 4
    assert done.stderr == "3, and there are more; --limit 0 for all\n"
    assert json.loads(altlas("query", sql, "--limit", "3", "--json").stdout)["truncated"] is True
    assert len(json.loads(altlas("query", sql, "--limit", "0", "--json").stdout)["rows"]) == 63


def test_ten_thousand_rows_are_answered_unless_more_are_asked_for(altlas: Altlas, filled: Path) -> None:
    many = "WITH RECURSIVE c (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 10001) SELECT x FROM c"
    assert altlas("query", many, "--csv").stderr == "10000, and there are more; --limit 0 for all\n"
    assert altlas("query", many, "--csv", "--limit", "0").stderr == ""


def test_columns_of_one_name_all_come_out(altlas: Altlas, filled: Path) -> None:
    [row] = json.loads(altlas("query", "SELECT 1 AS a, 2 AS a, x'00ff' AS b", "--json").stdout)["rows"]
    assert row == {"a": 1, "a_2": 2, "b": "00ff"}


def test_sql_is_read_from_standard_input(filled: Path, surroundings: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "altlas_agent", "query", "-", "--csv"],
        input="SELECT count(*) AS n FROM v_attempts",
        env=dict(surroundings),
        capture_output=True,
        text=True,
        timeout=20,
        check=True,
    )
    assert done.stdout == "n\n63\n"


def test_the_schema_is_listed(altlas: Altlas) -> None:
    answer = json.loads(altlas("query", "--schema", "--json").stdout)
    listed = {(row["view"], row["column"]) for row in answer["rows"]}
    assert listed == {(view, column) for view, columns in VIEWS.items() for column in columns}


def test_nothing_to_ask_is_wrong_use(altlas: Altlas, filled: Path) -> None:
    done = altlas("query")
    assert (done.returncode, done.stdout) == (2, "")
    assert "what to ask?" in done.stderr


def test_without_runs_there_is_nothing_to_ask(altlas: Altlas) -> None:
    done = altlas("query", "SELECT 1")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there are no runs yet" in done.stderr
