"""altlas vocab: reports, proposals and their application, as users meet them."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.languages.tokens.vocabulary import vocabulary
from storage.database import open_writer
from storage.rows import Rows, attempt_row
from tests.builders import NOW_NS, make_judged, make_run_row, make_task, store, store_run

if TYPE_CHECKING:
    from collections.abc import Callable

    Altlas = Callable[..., subprocess.CompletedProcess[str]]

ROOT = Path(__file__).resolve().parents[3]
V = vocabulary()
SUM, CONSTANT = V.numbers("OUTPUT ADD NUM_0 NUM_1 END"), V.numbers("OUTPUT INT_1 END")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """r1 proposed a sum ten times and solved `add` with it, and a constant thirty times; r2 one sum."""
    home: Path = tmp_path_factory.mktemp("vocabulary")
    with closing(open_writer(home / "altlas.db")) as connection:
        for run, counts in ((1, (10, 30)), (2, (1, 0))):
            store_run(connection, make_run_row(f"run{run}"), [make_task("add"), make_task("greet")])
            tokens = [SUM] * counts[0] + [CONSTANT] * counts[1]
            rows = []
            for number, written in enumerate(tokens, start=1):
                key = "quickstart/add" if written is SUM else "quickstart/greet"
                judged = make_judged(number, task_id=key, solved=written is SUM)
                attempt = msgspec.structs.replace(judged.attempt, tokens=written, logps=(0.0,) * len(written))
                rows.append(attempt_row(run, msgspec.structs.replace(judged, attempt=attempt), ts_ns=NOW_NS))
            store(connection, Rows(attempts=rows))
    return home


def _rows(done: subprocess.CompletedProcess[str]) -> dict[str, dict[str, object]]:
    assert done.returncode == 0, done.stderr
    return {row.get("token") or row["first"] + row["second"]: row for row in json.loads(done.stdout)["rows"]}


def test_tokens_are_counted_over_all_runs_or_one_or_one_task(altlas: Altlas, home: Path) -> None:
    words = ("vocab", "report", "--json", "--limit", "0", "--home", str(home))
    assert _rows(altlas(*words))["ADD"]["count"] == 11
    assert _rows(altlas(*words, "--run", "r1"))["ADD"]["count"] == 10
    assert _rows(altlas(*words, "--task", "greet"))["ADD"]["count"] == 0
    assert len(_rows(altlas(*words))) == len(V)


def test_success_and_failure_are_told_apart(altlas: Altlas, home: Path) -> None:
    done = altlas("vocab", "report", "--run", "run1", "--json", "--home", str(home))
    tokens = _rows(done)
    assert (tokens["ADD"]["solved"], tokens["ADD"]["failed"]) == (10, 0)
    assert (tokens["INT_1"]["solved"], tokens["INT_1"]["failed"]) == (0, 30)
    assert json.loads(done.stdout)["programs"] == 40
    assert json.loads(done.stdout)["solved"] == 10


def test_pairs_and_clusters_are_reports_of_their_own(altlas: Altlas, home: Path) -> None:
    pairs = _rows(altlas("vocab", "report", "--what", "pairs", "--json", "--home", str(home)))
    assert pairs["NUM_0ADD"]["programs"] == 11
    done = altlas("vocab", "report", "--what", "clusters", "--json", "--home", str(home))
    assert {"ADD", "NUM_0", "NUM_1"} <= set(json.loads(done.stdout)["rows"][0]["tokens"])


def test_people_get_a_table_and_spreadsheets_csv(altlas: Altlas, home: Path) -> None:
    done = altlas("vocab", "report", "--home", str(home), "--limit", "3")
    assert done.stdout.split("\n")[0].split() == [
        *("token", "role", "count", "share", "solved", "failed", "lift", "balance", "use")
    ]
    assert "41 attempts of 2 runs, 11 of them solved" in done.stderr
    assert f"3 of {len(V)}; --limit 0 for all" in done.stderr
    done = altlas("vocab", "report", "--home", str(home), "--csv", "--fields", "token,count")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert {"token": "ADD", "count": "11"} in rows


def test_what_no_token_says_is_reported_from_sources(altlas: Altlas, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f(a):\n    x = 1\n    return x ** x + (x << 1) + (1 << x)\n")
    (tmp_path / "b.py").write_text("def (")
    words = ("vocab", "report", "--what", "unknown", "--from", ".", "--suite", "quickstart")
    done = altlas(*words, "--json")
    answer = json.loads(done.stdout)
    assert [(row["shape"], row["count"]) for row in answer["rows"]] == [("{0}<<{1}", 2), ("{0}**{1}", 1)]
    assert (answer["programs"], answer["whole"]) == (13, 12)
    assert "left out: b.py: the source does not parse as python" in done.stderr
    done = altlas(*words)
    assert ["python", "{0}<<{1}", "2", "1", "num", "VAR_0<<1", "a.py:3"] in [
        line.split() for line in done.stdout.splitlines()
    ]


def test_a_home_without_runs_has_nothing_to_report(altlas: Altlas) -> None:
    done = altlas("vocab", "report")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no runs yet" in done.stderr


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (("report", "--run", "nowhere"), 1, "no run 'nowhere'"),
        (
            ("report", "--what", "letters"),
            2,
            "'letters' is not one of 'tokens', 'pairs', 'clusters', 'unknown'",
        ),
        (("report", "--threshold", "2"), 2, "2.0 is not in the range 0<x<=1"),
        (("report", "--fields", "tokens"), 2, "no field 'tokens'; did you mean token?"),
        (("report", "--parquet", "x", "--csv"), 2, "exclude each other"),
        (("report", "--least", "0"), 2, "0 is not in the range x>=1"),
        (("report", "--least", "2"), 2, "--least has no effect on --what tokens: it is for --what pairs"),
        (("report", "--what", "unknown", "--run", "r1"), 2, "--run has no effect on --what unknown"),
        (("report", "--suite", "quickstart"), 2, "--suite has no effect on --what tokens"),
        (("report", "--what", "unknown", "--suite", "nowhere"), 1, "no task suite 'nowhere'"),
        (("propose", "--from", "nowhere"), 2, "Path 'nowhere' does not exist"),
        (("propose", "--suite", "nowhere"), 1, "no task suite 'nowhere'"),
        (("propose", "--run", "nowhere"), 1, "no run 'nowhere'"),
        (("propose", "-o", "/dev/null/x"), 1, "/dev/null/x"),
        (
            ("apply", "nowhere.json", "--to", "x"),
            1,
            "no proposal 'nowhere.json'; write one: altlas vocab propose",
        ),
        (("apply", "nowhere.json"), 2, "Missing option '--to'"),
        (("retire",), 2, "No such command 'retire'"),
    ],
)
def test_wrong_words_are_refused_saying_what_is_right(
    altlas: Altlas, home: Path, *, words: tuple[str, ...], code: int, problem: str
) -> None:
    at_home = ("--home", str(home)) if words[0] in ("report", "propose") else ()
    done = altlas("vocab", *words, *at_home)
    assert (done.returncode, done.stdout) == (code, "")
    assert problem in done.stderr


def test_what_sources_need_is_proposed_to_a_file_that_is_not_overwritten(
    altlas: Altlas, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources/a.py").write_text("def f(a):\n    x = 1\n    return (x ** 4) + 2 ** x + x ** x\n")
    words = (
        "vocab",
        "propose",
        "--from",
        "sources",
        "--suite",
        "quickstart",
        "--home",
        str(home),
        "-o",
        "p.json",
    )
    done = altlas(*words)
    assert done.returncode == 0
    assert "13 programs read, 12 of them can be said whole; 1 tokens to add" in done.stderr
    proposal = json.loads((tmp_path / "p.json").read_text())
    assert [each["name"] for each in proposal["add"]] == ["POWER"]
    assert {"MOD", "SORT"} <= {each["name"] for each in proposal["retire"]}
    assert "ADD" not in {each["name"] for each in proposal["retire"]}
    again = altlas(*words)
    assert (again.returncode, again.stdout) == (2, "")
    assert "p.json is there already: say --force to replace it" in again.stderr
    assert altlas(*words, "--force").returncode == 0


def test_a_proposal_goes_to_stdout_where_no_file_is_named(altlas: Altlas) -> None:
    done = altlas("vocab", "propose", "--suite", "quickstart")
    assert json.loads(done.stdout)["add"] == []
    assert json.loads(done.stdout)["retire"] == []


_COMPLETE = {
    "tokens": len(V),
    "add": [
        {
            "name": "POWER",
            "role": "operator",
            "sort": "num",
            "holes": ["num", "num"],
            "syntax": {
                "python": {"text": "{0} ** {1}", "level": 10, "needs": [11, 10]},
                "javascript": "Math.pow({0}, {1})",
            },
        },
        {
            "name": "WHILE",
            "role": "control_flow",
            "sort": "statement",
            "marks": ["loop"],
            "holes": ["bool", "block"],
            "syntax": {"python": "while {0}:{1}", "javascript": "while ({0}) {1}"},
        },
    ],
    "retire": [{"name": "SPACE"}],
}

_USED = """
import random
from altlas_agent.languages.encode.encode import encode
from altlas_agent.languages.render import render
from altlas_agent.languages.tokens.grammar import grammar_of, shape_of
from altlas_agent.languages.tokens.vocabulary import vocabulary
from tests.languages.programs import random_tokens, task_of
number = vocabulary().number
rng = random.Random(1)
for language in ("python", "javascript"):
    seen = set()
    task = task_of(params=("num", "list"), returns="num", language=language, max_tokens=30)
    for _ in range(300):
        tokens = random_tokens(task, rng)
        seen.update(tokens)
        code = render(task, tokens)
        assert render(task, encode(task, code).tokens) == code, code
    assert {number["POWER"], number["WHILE"]} <= seen
    assert number["SPACE"] not in seen
    old = vocabulary().numbers("FUNC_DEF FUNC_0 BLOCK_START RETURN LEN_STR SPACE BLOCK_END END")
    assert '" "' in render(task, old)
print("ok", number["SPACE"], number["POWER"])
"""


def test_the_files_of_a_proposal_put_in_place_are_used_by_every_part(altlas: Altlas, tmp_path: Path) -> None:
    """New tokens are written and read in both languages; the retired one is offered no more, and rendered."""
    (tmp_path / "p.json").write_text(json.dumps(_COMPLETE))
    done = altlas("vocab", "apply", "p.json", "--to", "out", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["added"], answer["retired"], len(answer["files"])) == (2, 1, 4)
    place = tmp_path / "place"
    shutil.copytree(ROOT / "configs", place / "configs", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(tmp_path / "out", place / "configs", dirs_exist_ok=True)
    used = subprocess.run(
        [sys.executable, "-c", _USED],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{place}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )
    assert used.stdout.split() == ["ok", str(V.number["SPACE"]), str(len(V))], used.stderr[-2000:]


def test_a_proposal_that_does_not_fit_writes_nothing(altlas: Altlas, tmp_path: Path) -> None:
    broken = {**_COMPLETE, "retire": [{"name": "MUL"}]}
    (tmp_path / "p.json").write_text(json.dumps(broken))
    done = altlas("vocab", "apply", "p.json", "--to", "out")
    assert (done.returncode, done.stdout) == (1, "")
    assert "retire[0] MUL:" in done.stderr
    assert "tasks are solved with it" in done.stderr
    assert not (tmp_path / "out").exists()
