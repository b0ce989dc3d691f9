"""What a run holds as a file: complete and readable, or not there at all."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from importlib import import_module
from typing import TYPE_CHECKING

import pytest

from storage.database import open_reader, open_writer
from storage.reading.export import attempts, programs
from storage.rows import Rows
from tests.builders import make_attempt_rows, make_run_row, make_task, store, store_run
from tests.cli.history.examples import HOSTILE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.history.examples import Altlas

COUNTS = {"attempts": 61, "metrics": 2, "events": 5, "code": 1}


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_everything_is_exported_in_every_format(
    altlas: Altlas, filled: Path, tmp_path: Path, suffix: str
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    for what, count in COUNTS.items():
        done = altlas("run", "export", "r1", "--what", what, "-o", f"{what}.{suffix}")
        noun = "programs" if what == "code" else what
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == f"{what}.{suffix}: {count} {noun} of run r1\n"
        assert _count(tmp_path / f"{what}.{suffix}") == count
    assert {path.stem for path in tmp_path.iterdir()} == {*COUNTS, "home"}


def test_attempts_are_exported_in_full_and_faithfully(altlas: Altlas, filled: Path, tmp_path: Path) -> None:
    altlas("run", "export", "r2", "-o", "out.jsonl")
    [line] = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    shown = json.loads(altlas("attempt", "show", "r2/7", "--json").stdout)
    assert json.loads(line) == shown
    assert shown["code"] == HOSTILE


def test_without_a_file_lines_go_to_stdout(altlas: Altlas, filled: Path) -> None:
    lines = altlas("run", "export", "r1", "--what", "metrics").stdout.splitlines()
    assert [json.loads(line)["value"] for line in lines] == [0.5, None]


def test_a_file_that_is_there_is_only_replaced_on_request(
    altlas: Altlas, filled: Path, tmp_path: Path
) -> None:
    file = tmp_path / "out.csv"
    file.write_text("mine", encoding="utf-8")
    done = altlas("run", "export", "r1", "-o", "out.csv")
    assert done.returncode == 2
    assert "say --force" in done.stderr
    assert file.read_text("utf-8") == "mine"
    assert altlas("run", "export", "r1", "-o", "out.csv", "--force").returncode == 0
    assert file.read_text("utf-8").startswith("run_id,number,task")


def test_a_file_of_an_unknown_kind_is_refused(altlas: Altlas, filled: Path) -> None:
    done = altlas("run", "export", "r1", "-o", "out.xlsx")
    assert done.returncode == 2
    assert "must end with .jsonl, .csv or .parquet" in done.stderr


def test_many_pages_are_read_without_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "altlas.db"
    with closing(open_writer(path)) as connection:
        store_run(connection, make_run_row(), [make_task("add")])
        store(connection, Rows(attempts=make_attempt_rows(1, range(1700))))
    with closing(open_reader(path)) as connection:
        numbers = [each.number for page in attempts(connection, 1) for each in page]
        assert numbers == list(range(1700))
        assert [each.number for page in programs(connection, 1) for each in page] == [0]


def _count(path: Path) -> int:
    if path.suffix == ".parquet":
        count: int = import_module("pyarrow.parquet").read_table(path).num_rows
        return count
    with path.open(newline="", encoding="utf-8") as file:
        return sum(1 for _ in csv.DictReader(file)) if path.suffix == ".csv" else sum(1 for _ in file)
