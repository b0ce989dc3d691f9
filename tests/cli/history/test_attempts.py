"""What a user sees of attempts: lists, one of them in full, words found in programs, two compared."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.history.examples import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.history.examples import Altlas


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


@pytest.mark.parametrize(
    ("words", "places"),
    [
        (("--arm", "grammar"), [(2, 7)]),
        (("--arm", "flat"), []),
        (("--version", "5"), [(2, 7)]),
        (("--run", "r1", "--version", "2", "--limit", "1"), [(1, 61)]),
        (("--before", "r1/3"), [(1, 2), (1, 1)]),
        (("--before", "r3/1", "--limit", "2"), [(2, 7), (1, 61)]),
        (("--run", "r1", "--sort", "best", "--limit", "2"), [(1, 61), (1, 60)]),
    ],
)
def test_attempts_are_found_by_arm_version_place_and_score(
    altlas: Altlas, filled: Path, words: tuple[str, ...], places: list[tuple[int, int]]
) -> None:
    rows = json.loads(altlas("attempt", "list", "--json", *words).stdout)["rows"]
    assert [(row["run_id"], row["number"]) for row in rows] == places


def test_the_next_page_is_named_and_goes_on(altlas: Altlas, filled: Path) -> None:
    first = altlas("attempt", "list", "--limit", "2", "--run", "r1")
    assert first.stderr == "2 of 61; --limit 0 for all; next: --before r1/60\n"
    second = json.loads(altlas("attempt", "list", "--json", "--run", "r1", "--before", "r1/60").stdout)
    assert [row["number"] for row in second["rows"][:2]] == [59, 58]


def test_a_cut_that_cannot_be_counted_is_still_said(altlas: Altlas, filled: Path) -> None:
    done = altlas("attempt", "list", "--arm", "policy", "--limit", "2")
    assert done.stderr == "2, and there are more; --limit 0 for all; next: --before r1/61\n"
    answer = json.loads(altlas("attempt", "list", "--arm", "policy", "--limit", "2", "--json").stdout)
    assert (answer["truncated"], answer["total"], answer["counts"]["shown"]) == (True, None, 2)


def test_the_best_are_those_of_one_whole_run(altlas: Altlas, filled: Path) -> None:
    for words in ((), ("--run", "r1", "--solved")):
        done = altlas("attempt", "list", "--sort", "best", *words)
        assert done.returncode == 2
        assert "--sort best is for one whole run" in done.stderr


def test_programs_are_found_by_their_words(altlas: Altlas, filled: Path) -> None:
    rows = json.loads(altlas("attempt", "search", "print", "bold", "--json").stdout)["rows"]
    assert [(row["run_id"], row["number"]) for row in rows] == [(2, 7)]
    done = altlas("attempt", "search", "nowhere")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no program holds these words\n")


def test_what_is_searched_for_is_words_and_never_an_expression(altlas: Altlas, filled: Path) -> None:
    for words in ('"', "NEAR(", "code:", "a* OR b", "--", "'"):
        done = altlas("attempt", "search", "--", words)
        assert (done.returncode, done.stdout) == (0, "")


def test_two_programs_are_compared_line_by_line(altlas: Altlas, filled: Path) -> None:
    done = altlas("attempt", "diff", "r1/61", "r2/7")
    assert done.returncode == 0
    assert "r1/61: quickstart/add (python), success, score 1.000" in done.stdout
    assert "--- r1/61\n+++ r2/7\n" in done.stdout
    assert "-print(5 + 3)\n" in done.stdout
    assert "+x = 1\n" in done.stdout
    assert "\x1b" not in done.stdout


def test_a_comparison_is_faithful_in_json(altlas: Altlas, filled: Path) -> None:
    answer = json.loads(altlas("attempt", "diff", "r1/61", "r2/7", "--json").stdout)
    assert (answer["attempts"], answer["equal"]) == (["r1/61", "r2/7"], False)
    assert "+" + HOSTILE.split("\n")[0] in answer["diff"]


def test_equal_programs_have_no_difference(altlas: Altlas, filled: Path) -> None:
    assert "the programs are equal\n" in altlas("attempt", "diff", "r1/60", "r1/61").stdout
    assert json.loads(altlas("attempt", "diff", "r1/60", "r1/61", "--json").stdout)["equal"] is True


def test_a_program_comes_out_byte_for_byte(altlas_bytes: Callable[..., bytes], filled: Path) -> None:
    assert altlas_bytes("attempt", "show", "r2/7", "--code") == HOSTILE.encode()
