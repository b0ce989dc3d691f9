"""`altlas db check` finds what is wrong, and names it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import DatabaseDamagedError
from storage.database import open_reader, open_writer
from storage.maintenance.check import MAX_PROBLEMS, check
from tests.storage.maintenance.examples import change, garble_page, make_whole, num_pages, problems

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "altlas.db"
    make_whole(path)
    return path


def test_a_whole_database_has_no_problems(path: Path) -> None:
    with closing(open_reader(path)) as connection:
        checks = check(connection)
    assert [each.name for each in checks] == ["pages", "references", "events", "sums", "texts"]
    assert all(each.ok and each.count == 0 and not each.problems for each in checks)


@pytest.mark.parametrize(
    ("sql", "kind", "word"),
    [
        ("UPDATE bodies SET data = CAST(x'00' || data AS BLOB) WHERE id = 7", "texts", "text 7"),
        ("UPDATE bodies SET hash = CAST(x'ff' || hash AS BLOB) WHERE id = 7", "texts", "does not match"),
        ("DELETE FROM bodies WHERE id = 7", "references", "names a text"),
        ("DELETE FROM labels WHERE text = 'success'", "references", "a label"),
        ("DELETE FROM reward_schemas", "references", "reward schema"),
        ("DELETE FROM tasks WHERE id = 1", "references", "of a run or a task that is missing"),
        ("UPDATE searched_bodies SET attempt_id = 99999", "references", "is searched for"),
        ("DELETE FROM fingerprints WHERE attempt_id = 5", "references", "cannot be found by its fingerprint"),
        ("UPDATE fingerprints SET attempt_id = 99999 WHERE attempt_id = 5", "references", "leads to attempt"),
        ("UPDATE body_hashes SET body_id = 99999 WHERE body_id = 7", "references", "a hash leads to"),
        ("DELETE FROM events WHERE run_id = 1 AND seq BETWEEN 5 AND 8", "events", "no events 5 to 8"),
        ("UPDATE runs SET attempts = 9 WHERE id = 1", "sums", "says 9 attempts"),
        ("UPDATE tasks SET best_score = 0.5 WHERE id = 1", "sums", "best 0.5"),
        ("UPDATE tallies SET attempts = 9", "sums", "tallies"),
        ("UPDATE curves SET score_max = 9", "sums", "curves"),
    ],
)
def test_a_row_that_is_wrong_is_found(path: Path, sql: str, kind: str, word: str) -> None:
    change(path, sql)
    with closing(open_reader(path)) as connection:
        found = {each.name: each.problems for each in check(connection)}
    assert any(word in problem for problem in found[kind]), found


def test_problems_are_counted_and_the_first_are_named(path: Path) -> None:
    change(path, "UPDATE bodies SET data = CAST(x'00' || data AS BLOB)")
    with closing(open_reader(path)) as connection:
        texts = next(each for each in check(connection) if each.name == "texts")
    assert len(texts.problems) == MAX_PROBLEMS
    assert texts.count > 500


def test_a_damaged_dictionary_is_found(path: Path) -> None:
    change(path, "INSERT INTO dictionaries (id, hash, made_ns, data) VALUES (1, x'00', 0, x'01')")
    assert problems(path) == {"texts": 1}


def test_a_damaged_page_stops_no_check(path: Path) -> None:
    garble_page(path, num_pages(path) // 2)
    assert problems(path)


def test_nothing_is_written_to_a_database_with_a_damaged_page(path: Path) -> None:
    garble_page(path, num_pages(path) // 2)
    before = path.read_bytes()
    with pytest.raises(DatabaseDamagedError, match="altlas db recover"):
        open_writer(path)
    assert path.read_bytes() == before
