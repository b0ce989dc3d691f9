"""Runs side by side: what differs in their settings, when tasks were solved, and their curves in numbers."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from storage.database import open_writer
from storage.rows import EndRow, Rows, RunRow, SolvedRow
from tests.builders import NOW_NS, make_attempt_rows, make_run_row, make_task, store, store_run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.history.examples import Altlas


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """r1 solved `add` with attempt 150 of 450, r2 with attempt 320 of 800 and `greet` with 700."""
    home: Path = tmp_path_factory.mktemp("two")
    tasks = [make_task("add"), make_task("greet")]
    with closing(open_writer(home / "altlas.db")) as connection:
        store_run(connection, _run(7, '{"run":{"seed":7},"learning":{"rate":0.01,"mask":[1]}}'), tasks)
        store_run(
            connection, _run(7, '{"run":{"seed":7},"learning":{"rate":0.02,"mask":[1,2]},"new":null}'), tasks
        )
        attempts = [*make_attempt_rows(1, range(1, 451)), *make_attempt_rows(2, range(1, 801))]
        solved = [SolvedRow(1, "quickstart/add", 150), SolvedRow(2, "quickstart/add", 320)]
        ends = [EndRow(run, "ended", "", NOW_NS, 10.0) for run in (1, 2)]
        solved.append(SolvedRow(2, "quickstart/greet", 700))
        store(connection, Rows(attempts=attempts, solved=solved, ends=ends))
    return home


def _run(seed: int, settings: str) -> RunRow:
    return make_run_row("alike", seed=seed)._replace(settings_json=settings)


def _lines(altlas: Altlas, home: Path, *words: str) -> dict[str, dict[str, tuple[object, object]]]:
    done = altlas("run", "compare", "r1", "r2", "--json", "--home", str(home), *words)
    parts: dict[str, dict[str, tuple[object, object]]] = {}
    for row in json.loads(done.stdout)["rows"]:
        parts.setdefault(row["part"], {})[row["name"]] = (row["r1"], row["r2"])
    return parts


def test_only_settings_that_differ_are_named(altlas: Altlas, two: Path) -> None:
    assert _lines(altlas, two)["setting"] == {
        "learning.mask": ("[1]", "[1, 2]"),
        "learning.rate": (0.01, 0.02),
    }


def test_the_runs_and_their_tasks_stand_side_by_side(altlas: Altlas, two: Path) -> None:
    parts = _lines(altlas, two)
    assert parts["run"]["solved"] == (1, 2)
    assert parts["run"]["attempts_per_s"] == (45.0, 80.0)
    assert parts["solved_at"] == {"quickstart/add": (150, 320), "quickstart/greet": (None, 700)}
    assert parts["task_attempts"]["quickstart/add"] == (450, 800)


def test_curves_are_numbers_at_the_same_numbers_of_attempts(altlas: Altlas, two: Path) -> None:
    parts = _lines(altlas, two, "--steps", "3")
    assert parts["tasks_solved_by"] == {"300": (1, 0), "600": (1, 1), "900": (None, 2)}
    mean = parts["mean_score_by"]
    assert mean["300"][0] == pytest.approx(sum(n % 100 / 100 for n in range(1, 300)) / 299)
    assert mean["900"][0] is None
    assert parts["best_score_by"]["600"] == (0.99, 0.99)


def test_a_curve_has_as_many_points_as_are_asked_for(altlas: Altlas, two: Path) -> None:
    for steps, marks in (("1", 1), ("2", 2), ("100", 9)):
        assert len(_lines(altlas, two, "--steps", steps)["tasks_solved_by"]) == marks


def test_what_is_the_same_can_be_left_out(altlas: Altlas, two: Path) -> None:
    parts = _lines(altlas, two, "--only-changed")
    assert "suite" not in parts["run"]
    assert "tasks" not in parts["run"]
    assert "solved" in parts["run"]
    assert "best_score_by" in parts


def test_people_get_tables(altlas: Altlas, two: Path) -> None:
    done = altlas("run", "compare", "r1", "r2", "--home", str(two), "--steps", "3")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert ["learning.rate", "0.01", "0.02"] in rows
    assert ["quickstart/greet", "-", "(-)", "700"] in rows
    assert ["600", "1", "1", "0.412", "0.495"] in rows


def test_a_run_is_compared_with_another_one(altlas: Altlas, two: Path) -> None:
    for words in (("r1",), ("r1", "1"), ("r1", "r2", "@-2")):
        done = altlas("run", "compare", *words, "--home", str(two))
        assert (done.returncode, done.stdout) == (2, "")
        assert "name two different runs or more" in done.stderr
