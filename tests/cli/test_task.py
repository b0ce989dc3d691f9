"""altlas task: what it prints, what it proves, and how it fails."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema  # type: ignore[import-untyped]  # it ships no types
import pytest

from tests.tasks.examples import Tree, changed, family, function_task, stdout_task, write

if TYPE_CHECKING:
    from collections.abc import Callable

    Altlas = Callable[..., subprocess.CompletedProcess[str]]
    Start = Callable[..., subprocess.Popen[str]]

QUICK: Tree = {"cpu_s": 0.3, "wall_s": 2.0}


@pytest.fixture
def slow_altlas(start: Start) -> Altlas:
    """Runs `altlas WORDS...` to its end, with time for a sandbox."""

    def run_altlas(*words: str) -> subprocess.CompletedProcess[str]:
        with start(*words) as process:
            stdout, stderr = process.communicate(timeout=110)
        return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)

    return run_altlas


def test_list_shows_every_shipped_task(altlas: Altlas) -> None:
    done = altlas("task", "list")
    assert (done.returncode, done.stderr) == (0, "")
    assert "quickstart/print-sum" in done.stdout
    assert "ladder/js-power" in done.stdout
    assert "Print the sum of {a} and {b}." in done.stdout


def test_list_of_one_suite_as_json(altlas: Altlas) -> None:
    listed = json.loads(altlas("task", "list", "quickstart", "--json").stdout)
    assert (len(listed["rows"]), listed["truncated"], listed["total"]) == (12, False, 12)
    row = listed["rows"][0]
    assert (row["task"], row["language"], row["kind"]) == ("quickstart/print-sum", "python", "stdout")
    assert (row["is_family"], row["description"]) == (False, "Print the sum of 5 and 3.")


def test_list_of_an_unknown_suite_names_the_shipped_ones(altlas: Altlas) -> None:
    done = altlas("task", "list", "quickstar")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "altlas: no task suite 'quickstar'; there are: ladder, quickstart, or give the path of a folder or file\n"
    )


def test_show_tells_everything_about_a_task(altlas: Altlas) -> None:
    shown = altlas("task", "show", "quickstart/print-product").stdout
    for part in (
        "quickstart/print-product",
        "Print the product of 6 and 7.",
        "*, 6, 7",
        '"42"',
        "print(6 * 7)",
        "cheat 1",
    ):
        assert part in shown


def test_show_draws_the_instance_that_was_asked_for(altlas: Altlas) -> None:
    first = json.loads(altlas("task", "show", "ladder/line", "--json").stdout)
    other = json.loads(
        altlas("task", "show", "line", "--instance", "3", "--split", "unseen", "--json").stdout
    )
    assert (first["id"], other["id"]) == ("ladder/line#train-0", "ladder/line#unseen-3")
    assert first["description"] != other["description"]


def test_show_of_a_name_that_two_suites_have_asks_for_the_suite(altlas: Altlas) -> None:
    done = altlas("task", "show", "print-sum")
    assert done.returncode == 2
    assert "'print-sum' is the name of several tasks: ladder/print-sum, quickstart/print-sum" in done.stderr


def test_show_of_an_unknown_task(altlas: Altlas) -> None:
    done = altlas("task", "show", "nothing", "--json")
    assert done.returncode == 1
    assert json.loads(done.stdout)["error"]["message"] == "no task 'nothing'; see: altlas task list"


def test_foreign_text_cannot_reach_the_terminal(altlas: Altlas, tmp_path: Path) -> None:
    path = write(
        tmp_path, stdout_task(description="Print 5 and 3.\x1b[2J\u202e", cheats=["print('\x1b]0;x\x07')\n"])
    )
    shown = altlas("task", "show", str(path)).stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown


def test_schema_is_a_schema_of_the_shipped_files(altlas: Altlas, tmp_path: Path) -> None:
    schema = json.loads(altlas("task", "schema").stdout)
    jsonschema.validate(json.loads(write(tmp_path, family()).read_text()), schema)


@pytest.mark.timeout(120)
def test_check_proves_the_quickstart_suite(slow_altlas: Altlas) -> None:
    done = slow_altlas("task", "check", "quickstart")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 13
    assert all(line.startswith("proved  quickstart/") for line in lines[:12])
    assert lines[12] == "12 of 12 tasks proved"


@pytest.mark.timeout(120)
def test_check_tells_what_failed_and_ends_with_1(slow_altlas: Altlas, tmp_path: Path) -> None:
    limits: Tree = {"limits": QUICK}
    write(
        tmp_path / "suites" / "one",
        stdout_task(name="right") | limits,
        function_task(name="cheated", cheats=["def double(n):\n    return n + n\n"]) | limits,
    )
    write(tmp_path / "suites" / "two", changed(function_task(), "tests.hidden.0.expected", 1) | limits)
    done = slow_altlas("task", "check", "suites")
    assert done.returncode == 1
    lines = [re.sub(r"0\.\d+", "0.#", line) for line in done.stdout.splitlines()]
    assert lines == [
        "FAILED  one/cheated",
        "        cheat 1 succeeds on one/cheated",
        "proved  one/right    1 instance, 1 cheat refused",
        "FAILED  two/double",
        "        the reference scores 0.#, not full marks: 1 of 4 tests failed; on test 1 it answered 0",
        "        what the tokens render to scores 0.#, not full marks: 1 of 4 tests failed; on test 1 it answered 0",
        "1 of 3 tasks proved",
    ]


@pytest.mark.timeout(120)
def test_check_proves_the_rest_when_a_file_is_broken(slow_altlas: Altlas, tmp_path: Path) -> None:
    write(tmp_path / "mine", stdout_task(limits=QUICK), stdout_task(name="broken", kind="none"))
    done = slow_altlas("task", "check", "mine", "--json")
    assert done.returncode == 78
    assert "altlas: mine/broken.json: kind: must be 'stdout' or 'function', not 'none'" in done.stderr
    listed = json.loads(done.stdout)
    assert [(row["task"], row["proved"], row["failures"]) for row in listed["rows"]] == [
        ("mine/sum", True, [])
    ]


def test_check_of_a_broken_file_is_one_message(altlas: Altlas, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"name": "x"')
    done = altlas("task", "check", "x.json", "--json")
    message = "x.json:1:13: is not JSON: Expecting ',' delimiter (the format: altlas task schema)"
    assert done.returncode == 78
    assert done.stderr == f"altlas: {message}\n"
    assert json.loads(done.stdout) == {"error": {"kind": "task", "message": message}}


def test_check_of_an_empty_folder_says_what_a_suite_is(altlas: Altlas, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = altlas("task", "check", "empty")
    assert done.returncode == 1
    assert "no task file 'empty'; a suite is a folder with one .json file for each task" in done.stderr


def test_check_without_an_interpreter_says_what_to_install(altlas: Altlas, tmp_path: Path) -> None:
    write(
        tmp_path / "mine",
        function_task(target_language="javascript", reference="function double(n) { return n * 2; }"),
    )
    done = altlas("task", "check", "mine", "--set", "sandbox.node=/no/such/node")
    assert done.returncode == 69
    assert "node" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.timeout(60)
def test_an_interrupted_check_ends_at_once_and_leaves_no_process(start: Start, tmp_path: Path) -> None:
    write(tmp_path / "mine", stdout_task(limits={"cpu_s": 8, "wall_s": 9}))
    with start("task", "check", "mine") as process:
        time.sleep(3)
        process.send_signal(signal.SIGINT)
        begun = time.monotonic()
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.endswith("altlas: interrupted\n")
    assert time.monotonic() - begun < 6
    assert _processes_that_know(tmp_path) == []


def _processes_that_know(folder: Path) -> list[str]:
    """Command lines of processes that inherited the environment of a command run in `folder`."""
    found: list[str] = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(folder / "home").encode() in (entry / "environ").read_bytes():
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has ended
    return found
