"""A list in every form: for people, and as JSON, CSV and Parquet for programs."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.cli.history.examples import HOSTILE, assert_harmless

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tests.cli.history.examples import Altlas

LISTS = [
    ("run", "list"),
    ("attempt", "list"),
    ("attempt", "search", "print"),
    ("event", "list", "r1"),
    ("run", "compare", "r1", "r2"),
    ("query", "SELECT run_id, number, score, code FROM v_attempts"),
    ("paths",),
]


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_every_list_has_one_envelope_in_json(altlas: Altlas, filled: Path, words: tuple[str, ...]) -> None:
    answer = json.loads(altlas(*words, "--json", "--limit", "1").stdout)
    assert {"as_of", "rows", "truncated", "total", "counts"} <= set(answer)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", answer["as_of"])
    assert (len(answer["rows"]), answer["counts"]["shown"]) == (1, 1)
    assert answer["counts"]["total"] == answer["total"]


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_every_list_has_the_same_rows_in_csv(
    altlas_bytes: Callable[..., bytes], filled: Path, words: tuple[str, ...]
) -> None:
    rows = json.loads(altlas_bytes(*words, "--json", "--limit", "0"))["rows"]
    written = altlas_bytes(*words, "--csv", "--limit", "0").decode()
    table = list(csv.DictReader(io.StringIO(written, newline="")))
    assert [list(row) for row in table] == [list(row) for row in rows]
    assert [list(row.values()) for row in table] == [
        [_in_csv(value) for value in row.values()] for row in rows
    ]


@pytest.mark.parametrize("words", LISTS, ids=" ".join)
def test_every_list_has_as_many_rows_in_parquet(
    altlas: Altlas, filled: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = json.loads(altlas(*words, "--json", "--limit", "0").stdout)["rows"]
    done = altlas(*words, "--parquet", "out.parquet", "--limit", "0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"out.parquet: {len(rows)} rows\n")
    table = parquet.read_table(tmp_path / "out.parquet")
    assert (table.num_rows, table.column_names) == (len(rows), list(rows[0]))


def test_parquet_keeps_numbers_lists_and_foreign_text(altlas: Altlas, filled: Path, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    altlas("run", "list", "--parquet", "out.parquet")
    [_, hostile, first] = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert hostile["name"] == "\x1b[31mred[/red]"
    assert (first["id"], first["best_score"], first["ended_ns"]) == (1, 1.0, 1_800_000_000_000_000_000)
    assert first["jail_layers"] == ["userns", "seccomp"]


def test_without_pyarrow_the_extra_is_named_and_nothing_is_left(
    altlas: Altlas, filled: Path, tmp_path: Path, surroundings: Mapping[str, str]
) -> None:
    (tmp_path / "without").mkdir()
    (tmp_path / "without" / "pyarrow.py").write_text("raise ImportError\n", encoding="utf-8")
    path = f"{tmp_path / 'without'}{os.pathsep}{surroundings['PYTHONPATH']}"
    done = altlas("run", "list", "--parquet", "out.parquet", environ={"PYTHONPATH": path})
    assert (done.returncode, done.stdout) == (69, "")
    assert "pip install 'altlas[export]'" in done.stderr
    assert not [each for each in tmp_path.iterdir() if "parquet" in each.name]


def test_a_file_that_cannot_be_written_is_named(altlas: Altlas, filled: Path) -> None:
    pytest.importorskip("pyarrow")
    done = altlas("run", "list", "--parquet", "no/such/folder/out.parquet")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no/such/folder/out.parquet" in done.stderr
    assert "Traceback" not in done.stderr


def test_fields_are_chosen_by_name_and_keep_their_order(altlas: Altlas, filled: Path) -> None:
    words = ("run", "list", "--fields", "status,id,tags")
    assert altlas(*words, "--csv").stdout.splitlines()[:2] == ["status,id,tags", 'crashed,3,"[""kept""]"']
    assert json.loads(altlas(*words, "--json").stdout)["rows"][0] == {
        "status": "crashed",
        "id": 3,
        "tags": ["kept"],
    }
    assert altlas(*words).stdout.split()[:3] == ["status", "id", "tags"]


def test_a_field_that_is_none_is_answered_with_those_there_are(altlas: Altlas, filled: Path) -> None:
    done = altlas("run", "list", "--fields", "id,statsu")
    assert (done.returncode, done.stdout) == (2, "")
    assert "no field 'statsu'; did you mean status? there are id, name, suite" in done.stderr


def test_forms_exclude_each_other(altlas: Altlas, filled: Path) -> None:
    done = altlas("run", "list", "--csv", "--parquet", "x")
    assert done.returncode == 2
    assert "--csv and --parquet exclude each other" in done.stderr


def test_what_csv_leaves_out_is_said_on_stderr(altlas: Altlas, filled: Path) -> None:
    done = altlas("run", "list", "--csv", "--limit", "1")
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == "1 of 3; --limit 0 for all; next: --before r3\n"


def test_csv_keeps_foreign_text_as_it_is(altlas_bytes: Callable[..., bytes], filled: Path) -> None:
    written = altlas_bytes("query", "SELECT code, stdout FROM v_attempts WHERE run_id = 2", "--csv")
    _, row = csv.reader(io.StringIO(written.decode(), newline=""))
    assert row == [HOSTILE, HOSTILE]


@pytest.mark.parametrize(
    "words",
    [
        ("run", "list"),
        ("run", "list", "--fields", "name,note"),
        ("run", "show", "r2"),
        ("run", "compare", "r1", "r2"),
        ("run", "note", "r1"),
        ("run", "delete", "r2", "--dry-run"),
        ("run", "tail", "r2"),
        ("event", "list", "r2"),
        ("event", "tail", "r2"),
        ("attempt", "list"),
        ("attempt", "show", "r2", "7"),
        ("attempt", "diff", "r1/61", "r2/7"),
        ("attempt", "search", "print"),
        ("query", "SELECT * FROM v_attempts WHERE run_id = 2"),
        ("query", "SELECT name FROM v_runs"),
    ],
    ids=" ".join,
)
def test_text_for_people_obeys_no_foreign_text(altlas: Altlas, filled: Path, words: tuple[str, ...]) -> None:
    done = altlas(*words)
    assert done.returncode == 0
    assert_harmless(done.stdout + done.stderr)


def test_a_foreign_program_is_shown_in_lines(altlas: Altlas, filled: Path) -> None:
    shown = altlas("attempt", "show", "r2", "7").stdout
    assert r"    print('[bold]\x1b[2J\x9b31m\u202e')\x0d" in shown
    assert "\n    x = 1\n" in shown


@pytest.mark.parametrize("words", [("run", "list"), ("run", "show", "r2"), ("attempt", "show", "r2", "7")])
def test_a_terminal_gets_a_drawing_and_foreign_markup_stays_text(
    filled: Path, surroundings: Mapping[str, str], words: tuple[str, ...]
) -> None:
    shown = _on_a_terminal(words, {**surroundings, "NO_COLOR": "1", "TERM": "xterm"})
    assert "\u2500" in shown  # a rule of the table
    assert_harmless(shown.replace("\r\n", "\n").replace("\x1b[1m", "").replace("\x1b[0m", ""))


def test_markup_in_a_name_is_text_on_a_coloured_terminal(
    filled: Path, surroundings: Mapping[str, str]
) -> None:
    assert r"\x1b[31mred[/red]" in _on_a_terminal(("run", "list"), {**surroundings, "TERM": "xterm"})


@pytest.mark.parametrize("colours", ["some", "none"])
def test_differences_are_coloured_unless_nobody_wants_it(
    filled: Path, surroundings: Mapping[str, str], colours: str
) -> None:
    unwanted = {"NO_COLOR": "1"} if colours == "none" else {}
    kept = {name: value for name, value in surroundings.items() if name != "NO_COLOR"}
    shown = _on_a_terminal(("attempt", "diff", "r1/61", "r2/7"), {**kept, **unwanted, "TERM": "xterm"})
    assert ("\x1b[31m-print(5 + 3)\x1b[0m" in shown) == (colours == "some")
    assert r"\x1b[2J" in shown


def test_json_and_csv_do_nothing_to_a_terminal(filled: Path, surroundings: Mapping[str, str]) -> None:
    environ = {**surroundings, "TERM": "xterm"}
    shown = _on_a_terminal(("attempt", "show", "r2", "7", "--json"), environ)
    assert_harmless(shown.replace("\r\n", "\n"))
    assert json.loads(shown)["code"] == HOSTILE
    query = ("query", "SELECT code FROM v_attempts WHERE run_id = 2", "--csv")
    assert_harmless(_on_a_terminal(query, environ).replace("\r\n", "\n"))


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_output_that_nobody_reads_ends_quietly(
    start: Callable[..., subprocess.Popen[str]], filled: Path, form: str
) -> None:
    process = start("attempt", "list", form)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=10), said) == (141, "")


def _in_csv(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)


def _on_a_terminal(words: Sequence[str], environ: Mapping[str, str]) -> str:
    """What a command writes to a terminal of 160 columns."""
    reader, terminal = pty.openpty()
    command = [sys.executable, "-m", "altlas_agent", *words]
    env = {**environ, "COLUMNS": "160"}
    with subprocess.Popen(command, stdout=terminal, stderr=terminal, stdin=terminal, env=env) as process:
        os.close(terminal)
        written = b""
        with suppress(OSError):  # Linux says EIO when the other side is closed
            while part := os.read(reader, 65536):
                written += part
    os.close(reader)
    assert process.returncode == 0, written
    return written.decode()
