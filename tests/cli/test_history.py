"""What a user sees of past runs: lists, one run, one attempt, as text and as JSON."""

from __future__ import annotations

import json
import os
import pty
import resource
import subprocess
import sys
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.cli.output import duration, score
from altlas_agent.core.records import Status
from storage.database import open_writer
from storage.rows import EndRow, JailRow, Rows, SolvedRow, attempt_row
from tests.builders import NOW_NS, make_attempt_rows, make_judged, make_run_row, make_task, store, store_run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from storage.rows import AttemptRow

    Altlas = Callable[..., subprocess.CompletedProcess[str]]

HOSTILE = "print('[bold]\x1b[2J\x9b31m\u202e')\r\nx = 1"
HEAVY = {"torch", "textual", "sqlmodel", "sqlalchemy", "pydantic", "pydantic_settings", "anyio", "numpy"}
GONE = 2**22 + 1
"""A process number that Linux does not give."""


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A home with r1 "first" (ended, 60 attempts), r2 "hostile" (ended) and r3 "first" (its process is gone)."""
    home = tmp_path / "home"
    tasks = [make_task("add"), make_task("greet", language="javascript")]
    with closing(open_writer(home / "altlas.db")) as connection:
        store_run(connection, make_run_row("first"), tasks)
        store_run(connection, make_run_row("\x1b[31mred[/red]"), tasks)
        store_run(connection, make_run_row("first", pid=GONE), tasks)
        solving = attempt_row(1, make_judged(61, score=1.0, solved=True), ts_ns=NOW_NS)
        store(
            connection,
            Rows(
                attempts=[
                    *make_attempt_rows(1, range(1, 61)),
                    solving,
                    _hostile_row(),
                    *make_attempt_rows(3, [1]),
                ],
                solved=[SolvedRow(1, "quickstart/add", 61), SolvedRow(2, "quickstart/greet", 7)],
                jails=[JailRow(1, "bubblewrap", '["userns","seccomp"]')],
                ends=[EndRow(run, "ended", "out of attempts", NOW_NS, 90.0) for run in (1, 2)],
            ),
        )
    return home


def test_runs_are_listed_newest_first(altlas: Altlas, filled: Path) -> None:
    done = altlas("run", "list")
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert " ".join(head.split()) == "run name suite seed status solved attempts best time started"
    assert [line.split()[0] for line in lines] == ["r3", "r2", "r1"]
    assert " ".join(lines[2].split()).startswith("r1 first quickstart 7 ended 1/2 61 1.000 1 min 30 s")


def test_run_list_writes_an_envelope_in_json(altlas: Altlas, filled: Path) -> None:
    answer = json.loads(altlas("run", "list", "--json").stdout)
    assert (answer["truncated"], answer["total"]) == (False, 3)
    assert [row["id"] for row in answer["rows"]] == [3, 2, 1]
    assert answer["rows"][2] | {"best_score": 1.0, "jail_layers": ["userns", "seccomp"]} == answer["rows"][2]


def test_a_list_that_is_cut_says_so(altlas: Altlas, filled: Path) -> None:
    done = altlas("run", "list", "--limit", "2")
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == "2 of 3; --limit 0 for all; next: --before r2\n"
    answer = json.loads(altlas("attempt", "list", "--json", "--limit", "10").stdout)
    assert (len(answer["rows"]), answer["truncated"], answer["total"]) == (10, True, 63)


def test_a_run_whose_process_is_gone_counts_as_crashed(altlas: Altlas, filled: Path) -> None:
    assert json.loads(altlas("run", "show", "r3", "--json").stdout)["run"]["status"] == "crashed"


def test_an_empty_home_has_empty_lists(altlas: Altlas) -> None:
    for command in ("run", "attempt"):
        done = altlas(command, "list")
        assert (done.returncode, done.stdout) == (0, "")
        assert done.stderr == "no runs yet: altlas run start quickstart\n"
        answer = json.loads(altlas(command, "list", "--json").stdout)
        assert (answer["rows"], answer["truncated"], answer["total"]) == ([], False, 0)


def test_an_empty_home_has_no_run_to_show(altlas: Altlas) -> None:
    for words in (
        ("run", "show", "@latest"),
        ("attempt", "show", "r1", "1"),
        ("attempt", "list", "--run", "r1"),
    ):
        done = altlas(*words)
        assert (done.returncode, done.stdout) == (1, "")
        assert "no runs yet: altlas run start quickstart" in done.stderr


def test_run_show_tells_the_totals_the_tasks_and_the_programs(altlas: Altlas, filled: Path) -> None:
    done = altlas("run", "show", "r1")
    assert done.returncode == 0
    assert "run r1 first: quickstart, seed 7, ended (out of attempts)" in done.stdout
    assert "1 of 2 tasks solved in 61 attempts, best score 1.000" in done.stdout
    assert "took 1 min 30 s, 0.7 per second" in done.stdout
    assert "jail bubblewrap (userns, seccomp)" in done.stdout
    assert "quickstart/add    python      stdout         61        61  1.000" in done.stdout
    assert "quickstart/greet  javascript  stdout          -         0      -" in done.stdout
    assert "quickstart/add (python), attempt 61:\n    print(5 + 3)\n" in done.stdout


def test_run_show_leaves_the_programs_out_on_request(altlas: Altlas, filled: Path) -> None:
    assert "print(5 + 3)" not in altlas("run", "show", "1", "--no-programs").stdout
    answer = json.loads(altlas("run", "show", "1", "--no-programs", "--json").stdout)
    assert answer["tasks"][0]["solution"] is None


def test_run_show_gives_json_with_settings_and_tasks(altlas: Altlas, filled: Path) -> None:
    answer = json.loads(altlas("run", "show", "r1", "--json").stdout)
    assert answer["settings"] == {"run": {"seed": 7}}
    assert answer["run"]["attempts"] == 61
    assert answer["tasks"][0] | {"key": "quickstart/add", "solution": "print(5 + 3)"} == answer["tasks"][0]


def test_an_ambiguous_name_lists_the_candidates(altlas: Altlas, filled: Path) -> None:
    done = altlas("run", "show", "first")
    assert (done.returncode, done.stdout) == (2, "")
    assert "2 runs are named 'first': say which of r1, r3" in done.stderr


def test_attempts_are_filtered(altlas: Altlas, filled: Path) -> None:
    def numbers(*words: str) -> list[tuple[int, int]]:
        rows = json.loads(altlas("attempt", "list", "--json", *words).stdout)["rows"]
        return [(row["run_id"], row["number"]) for row in rows]

    assert numbers("--solved") == [(2, 7), (1, 61)]
    assert numbers("--run", "r1", "--solved") == [(1, 61)]
    assert numbers("--task", "greet") == [(2, 7)]
    assert numbers("--status", "timeout") == [(2, 7)]
    assert numbers("--run", "1", "--min-score", "0.59") == [(1, 61), (1, 60), (1, 59)]
    assert numbers("--limit", "3") == [(3, 1), (2, 7), (1, 61)]
    assert len(numbers("--limit", "0")) == 63


def test_a_filter_that_fits_nothing_says_so(altlas: Altlas, filled: Path) -> None:
    done = altlas("attempt", "list", "--status", "signal")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no such attempts\n")
    done = altlas("attempt", "list", "--task", "nothing")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no task 'nothing'" in done.stderr


@pytest.mark.parametrize("words", [("r1", "61"), ("r1/61",), ("@-3/61",), ("1", "61")])
def test_an_attempt_is_shown(altlas: Altlas, filled: Path, words: tuple[str, ...]) -> None:
    done = altlas("attempt", "show", *words)
    assert done.returncode == 0
    assert "attempt 61 of run r1: quickstart/add (python)" in done.stdout
    assert "success, 2 of 2 tests passed, score 1.000, solved" in done.stdout
    assert "used 0.010 s CPU, 0.020 s, 9.5 MB; jail bubblewrap, engine zygote" in done.stdout
    assert "code:\n    print(5 + 3)\n" in done.stdout
    assert "output  1.000\n" in done.stdout
    assert 'yes     no      "8"' in done.stdout
    assert "stdout:\n    8\n" in done.stdout


def test_an_attempt_that_is_not_named_fully_is_a_usage_error(altlas: Altlas, filled: Path) -> None:
    for place in ("r1", "r1/x", "61"):
        done = altlas("attempt", "show", place)
        assert done.returncode == 2
        assert f"{place} NUMBER, or {place}/NUMBER" in done.stderr


def test_json_is_faithful_to_foreign_text(altlas: Altlas, filled: Path) -> None:
    answer = json.loads(altlas("attempt", "show", "r2", "7", "--json").stdout)
    assert answer["code"] == answer["stdout"] == HOSTILE
    assert answer["violations"] == ["[bold]\x1b]0;x\x07"]


def test_text_for_people_obeys_no_foreign_text(altlas: Altlas, filled: Path) -> None:
    for words in (
        ("run", "list"),
        ("run", "show", "r2"),
        ("attempt", "show", "r2", "7"),
        ("attempt", "list"),
    ):
        done = altlas(*words)
        assert done.returncode == 0
        _assert_harmless(done.stdout + done.stderr)
    shown = altlas("attempt", "show", "r2", "7").stdout
    assert r"    print('[bold]\x1b[2J\x9b31m\u202e')\x0d" in shown
    assert "\n    x = 1\n" in shown


def test_a_terminal_gets_a_drawing_and_foreign_markup_stays_text(
    filled: Path, surroundings: Mapping[str, str]
) -> None:
    for words in (("run", "list"), ("run", "show", "r2"), ("attempt", "show", "r2", "7")):
        shown = _on_a_terminal(words, {**surroundings, "NO_COLOR": "1", "TERM": "xterm"})
        assert "\u2500" in shown  # a rule of the table
        _assert_harmless(shown.replace("\r\n", "\n").replace("\x1b[1m", "").replace("\x1b[0m", ""))
    listed = _on_a_terminal(("run", "list"), {**surroundings, "TERM": "xterm"})
    assert r"\x1b[31mred[/red]" in listed


def test_reading_imports_nothing_heavy(filled: Path, surroundings: Mapping[str, str]) -> None:
    for words in (
        ["run", "list"],
        ["run", "show", "r1"],
        ["attempt", "list"],
        ["attempt", "show", "r1", "1"],
    ):
        code = (
            "import sys\n"
            "from altlas_agent.cli.main import main\n"
            "try: main(sys.argv[1:])\n"
            "except SystemExit: pass\n"
            "print(*sys.modules, sep='\\n', file=sys.stderr)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, *words],
            capture_output=True,
            text=True,
            check=True,
            env=dict(surroundings),
        )
        assert HEAVY & set(done.stderr.split()) == set(), words


def test_run_list_costs_little_cpu_time(altlas: Altlas, filled: Path) -> None:
    altlas("run", "list")  # the first one may still write byte code
    assert min(_cpu_s(lambda: altlas("run", "list")) for _ in range(3)) < 0.25


def test_durations_are_for_people() -> None:
    assert [duration(s) for s in (0, 59.94, 61, 3599.7, 7321)] == [
        "0.0 s", "59.9 s", "1 min 01 s", "1 h 00 min", "2 h 02 min",
    ]  # fmt: skip


def test_only_a_full_score_shows_as_one() -> None:
    assert [score(value) for value in (1.0, 0.99999, 0.29, 0.0, None)] == [
        "1.000",
        "0.999",
        "0.290",
        "0.000",
        "-",
    ]


def _hostile_row() -> AttemptRow:
    judged = make_judged(
        7, task_id="quickstart/greet", status=Status.TIMEOUT, solved=True, code=HOSTILE, stdout=HOSTILE
    )
    outcome = msgspec.structs.replace(judged.outcome, violations=("[bold]\x1b]0;x\x07",))
    return attempt_row(2, msgspec.structs.replace(judged, outcome=outcome), ts_ns=NOW_NS)


def _assert_harmless(text: str) -> None:
    assert [letter for letter in text if letter != "\n" and not letter.isprintable()] == []


def _on_a_terminal(words: Sequence[str], environ: Mapping[str, str]) -> str:
    """What a command writes to a terminal of 120 columns."""
    reader, terminal = pty.openpty()
    command = [sys.executable, "-m", "altlas_agent", *words]
    env = {**environ, "COLUMNS": "120"}
    with subprocess.Popen(command, stdout=terminal, stderr=terminal, stdin=terminal, env=env) as process:
        os.close(terminal)
        written = b""
        with suppress(OSError):  # Linux says EIO when the other side is closed
            while part := os.read(reader, 65536):
                written += part
    os.close(reader)
    assert process.returncode == 0, written
    return written.decode()


def _cpu_s(action: Callable[[], object]) -> float:
    """CPU time of the child processes that an action waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    action()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
