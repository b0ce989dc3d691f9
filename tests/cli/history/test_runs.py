"""What a user sees of past runs: the list of them, and one of them, as text and as JSON."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent.cli.output import duration, score
from altlas_agent.core.events import PolicyBuilt
from storage.database import open_writer
from storage.rows import EventRow, Rows
from tests.builders import NOW_NS, store

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.history.examples import Altlas


def test_runs_are_listed_newest_first(altlas: Altlas, filled: Path) -> None:
    done = altlas("run", "list")
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert " ".join(head.split()) == "run name suite seed status solved attempts best time started tags"
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


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        (("--suite", "quickstart"), [3, 2, 1]),
        (("--suite", "ladder"), []),
        (("--status", "ended"), [2, 1]),
        (("--status", "crashed"), [3]),
        (("--status", "running"), []),
        (("--tag", "kept"), [3, 1]),
        (("--tag", "kept", "--tag", "best"), [1]),
        (("--since", "2027-01-15T00:00:00+00:00"), [3, 2, 1]),
        (("--since", "2027-01-16"), []),
        (("--sort", "attempts"), [1, 3, 2]),
        (("--sort", "oldest"), [1, 2, 3]),
        (("--before", "r3"), [2, 1]),
        (("--before", "r3", "--limit", "1"), [2]),
    ],
)
def test_runs_are_filtered_and_sorted(
    altlas: Altlas, filled: Path, words: tuple[str, ...], runs: list[int]
) -> None:
    answer = json.loads(altlas("run", "list", "--json", *words).stdout)
    assert [row["id"] for row in answer["rows"]] == runs


def test_a_time_that_is_none_is_wrong_use(altlas: Altlas, filled: Path) -> None:
    done = altlas("run", "list", "--since", "yesterday")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'yesterday' is no time: say 7d, 12h or 30m" in done.stderr


@pytest.mark.parametrize("selector", ["r1", "1", "@-3", "tag:best"])
def test_a_run_is_named_in_many_ways(altlas: Altlas, filled: Path, selector: str) -> None:
    assert json.loads(altlas("run", "show", selector, "--json").stdout)["run"]["id"] == 1


def test_with_json_the_candidates_of_an_ambiguous_tag_are_a_list(altlas: Altlas, filled: Path) -> None:
    done = altlas("run", "show", "tag:kept", "--json")
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["kind"], error["candidates"]) == (2, "ambiguous", ["r3", "r1"])


def test_run_show_tells_what_people_said_about_it(altlas: Altlas, filled: Path) -> None:
    shown = altlas("run", "show", "r1").stdout
    assert "tags: best kept\n" in shown
    assert "note: the one to look at\\nagain\n" in shown


def test_run_show_tells_what_the_student_is_made_of(altlas: Altlas, filled: Path) -> None:
    assert json.loads(altlas("run", "show", "r1", "--json").stdout)["policy"] is None
    built = PolicyBuilt(
        parameters=1_234_567, features={"kind": "lstm", "layers": "2", "positions": "learned"}
    )
    row = EventRow(3, 1, "PolicyBuilt", 1, NOW_NS, None, msgspec.msgpack.encode(built))
    with closing(open_writer(filled / "altlas.db")) as connection:
        store(connection, Rows(events=[row]))
    done = altlas("run", "show", "r3")
    assert "policy: 1,234,567 weights, kind lstm, layers 2, positions learned" in done.stdout
    answer = json.loads(altlas("run", "show", "r3", "--json").stdout)["policy"]
    assert answer == {"parameters": 1_234_567, "features": built.features}
