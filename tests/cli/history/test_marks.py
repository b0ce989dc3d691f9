"""What people do with runs: tags, notes, and taking them away; nobody else may write meanwhile."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from altlas_agent.daemon.home import HomeLock
from storage.database import open_reader
from storage.maintenance.check import check

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.history.examples import Altlas


def test_tags_are_given_and_taken_away(altlas: Altlas, filled: Path) -> None:
    assert altlas("run", "tag", "r2", "one", "two", "one").stdout == "r2: one two\n"
    answer = json.loads(altlas("run", "tag", "r2", "--remove", "one", "--json").stdout)
    assert answer == {"target": "r2", "applied": True, "dry_run": False, "tags": ["two"]}
    assert altlas("run", "tag", "tag:two", "--remove", "two", "--remove", "never").stdout == "r2: no tags\n"


def test_to_read_tags_needs_no_lock(altlas: Altlas, filled: Path) -> None:
    with HomeLock(filled):
        assert altlas("run", "tag", "r1").stdout == "r1: best kept\n"


@pytest.mark.parametrize("tag", ["", "a b", "a,b", "a:b", "x" * 65, "\x1b[31m", "\u202e"])
def test_a_tag_is_one_plain_word(altlas: Altlas, filled: Path, tag: str) -> None:
    done = altlas("run", "tag", "r1", tag)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no tag" in done.stderr


def test_a_note_is_written_replaced_and_taken_away(altlas: Altlas, filled: Path) -> None:
    assert altlas("run", "note", "r2").stdout == "r2: no note\n"
    assert altlas("run", "note", "r2", "remember\nthis").stdout == "r2:\n    remember\n    this\n"
    assert json.loads(altlas("run", "note", "r2", "--json").stdout)["note"] == "remember\nthis"
    assert altlas("run", "note", "r2", "").stdout == "r2: no note\n"


def test_a_run_is_taken_away_with_its_files_and_nothing_else(altlas: Altlas, filled: Path) -> None:
    for run in ("r1", "r2"):
        (filled / "runs" / run / "checkpoints").mkdir(parents=True)
        (filled / "runs" / run / "checkpoints" / "v1").write_bytes(b"x" * 2_000_000)
    done = altlas("run", "delete", "r1", "--yes")
    assert (done.returncode, done.stdout) == (
        0,
        "deleted run r1 first: 61 attempts, 5 events, 1 files of 2.0 MB\n",
    )
    assert [path.name for path in (filled / "runs").iterdir()] == ["r2"]
    assert [row["id"] for row in json.loads(altlas("run", "list", "--json").stdout)["rows"]] == [3, 2]
    with closing(open_reader(filled / "altlas.db")) as connection:
        assert [each.name for each in check(connection) if not each.ok] == []


def test_without_a_yes_nothing_is_taken_away(altlas: Altlas, filled: Path) -> None:
    before = _hash(filled)
    done = altlas("run", "delete", "r1")
    assert (done.returncode, done.stdout) == (2, "")
    assert "61 attempts, 5 events" in done.stderr
    assert "say --yes, or --dry-run" in done.stderr
    assert _hash(filled) == before


def test_a_dry_run_says_what_would_go_and_changes_nothing(altlas: Altlas, filled: Path) -> None:
    before = _hash(filled)
    answer = json.loads(altlas("run", "delete", "r1", "--dry-run", "--yes", "--json").stdout)
    assert (answer["target"], answer["applied"], answer["dry_run"]) == ("r1", False, True)
    assert "61 attempts" in answer["detail"]
    assert _hash(filled) == before


@pytest.mark.parametrize(
    "words", [("tag", "r1", "new"), ("note", "r1", "new"), ("delete", "r1", "--yes")], ids=" ".join
)
def test_while_somebody_holds_the_home_nothing_is_written(
    altlas: Altlas, filled: Path, words: tuple[str, ...]
) -> None:
    with HomeLock(filled):
        before = _hash(filled)
        done = altlas("run", *words)
        assert (done.returncode, done.stdout) == (75, "")
        assert f"the home {filled} is held by process" in done.stderr
        assert _hash(filled) == before


@pytest.mark.parametrize("words", [("tag", "r9", "x"), ("note", "r9", "x"), ("delete", "r9", "--yes")])
def test_a_run_that_is_not_there_is_not_changed(altlas: Altlas, filled: Path, words: tuple[str, ...]) -> None:
    done = altlas("run", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert "no run 'r9'" in done.stderr


def _hash(home: Path) -> str:
    return hashlib.sha256((home / "altlas.db").read_bytes()).hexdigest()


def test_a_daemon_changes_runs_for_whoever_asks(altlas: Altlas, filled: Path) -> None:
    (filled / "runs" / "r2").mkdir(parents=True)
    assert altlas("daemon", "start").returncode == 0
    try:
        assert altlas("run", "tag", "r2", "new").stdout == "r2: new\n"
        assert altlas("run", "note", "r2", "by the daemon").stdout == "r2:\n    by the daemon\n"
        assert altlas("run", "delete", "tag:new", "--yes").returncode == 0
        assert [row["id"] for row in json.loads(altlas("run", "list", "--json").stdout)["rows"]] == [3, 1]
        assert list((filled / "runs").iterdir()) == []
        assert altlas("run", "delete", "r0", "--yes").returncode == 1  # its journal
    finally:
        assert altlas("daemon", "stop").returncode == 0
