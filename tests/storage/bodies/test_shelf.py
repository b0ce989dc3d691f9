"""Texts are stored once, and dictionaries are made of them on the way."""

from __future__ import annotations

import random
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import DatabaseDamagedError
from storage.bodies import hashes, shelf
from storage.bodies.reading import Library
from storage.bodies.shelf import Shelf
from storage.database import open_writer, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(open_writer(tmp_path / "altlas.db")) as opened:
        yield opened


def test_a_text_has_one_number_whoever_asks(connection: sqlite3.Connection) -> None:
    first = _put(connection, Shelf(connection), ["a", "b", "a"])
    again = _put(connection, Shelf(connection), ["c", "b", "a"])
    assert first["a"] != first["b"]
    assert (again["a"], again["b"]) == (first["a"], first["b"])
    assert _count(connection, "bodies") == 3
    assert Library(connection).text(again["c"]) == "c"


def test_what_is_forgotten_is_found_in_the_database(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "_REMEMBERED_BYTES", 450)
    kept = Shelf(connection)
    texts = [f"text number {number}" for number in range(100)]
    numbers = {text: _put(connection, kept, [text])[text] for text in texts}
    assert {text: _put(connection, kept, [text])[text] for text in texts} == numbers
    assert _count(connection, "bodies") == 100


def test_a_dictionary_is_made_when_there_is_enough_to_learn_from(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "FIRST_DICTIONARY_AT", 200)
    monkeypatch.setattr(shelf, "DICTIONARY_GROWTH", 4)
    kept, texts = Shelf(connection), _programs(1500)
    numbers: dict[str, int] = {}
    for first in range(0, len(texts), 50):
        numbers |= _put(connection, kept, texts[first : first + 50])
    found = connection.execute("SELECT id, length(data) FROM dictionaries ORDER BY id").fetchall()
    assert [number for number, _ in found] == [1, 2]
    assert connection.execute("SELECT DISTINCT dictionary FROM bodies ORDER BY 1").fetchall() == [
        (0,),
        (1,),
        (2,),
    ]
    library = Library(connection)
    assert all(library.text(number) == text for text, number in numbers.items())
    assert connection.execute("SELECT id, hash, data FROM spare_dictionaries").fetchall() == (
        connection.execute("SELECT id, hash, data FROM dictionaries").fetchall()
    )


def test_the_next_shelf_goes_on_with_the_newest_dictionary(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shelf, "FIRST_DICTIONARY_AT", 200)
    texts = _programs(500)
    _put(connection, Shelf(connection), texts[:400])
    numbers = _put(connection, Shelf(connection), texts[400:])
    dictionaries = {
        dictionary
        for number in numbers.values()
        for (dictionary,) in connection.execute("SELECT dictionary FROM bodies WHERE id = ?", (number,))
    }
    assert dictionaries == {1}


def test_a_rollback_leaves_nothing_behind(connection: sqlite3.Connection) -> None:
    def put_and_stop() -> None:
        with transaction(connection):
            Shelf(connection).put(["lost"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        put_and_stop()
    assert _count(connection, "bodies") == 0
    number = _put(connection, Shelf(connection), ["kept"])["kept"]
    assert Library(connection).text(number) == "kept"


def test_reading_checks_every_text(connection: sqlite3.Connection) -> None:
    numbers = _put(connection, Shelf(connection), ["print(1)" * 20])
    connection.execute("UPDATE bodies SET data = CAST(x'00' || data AS BLOB)")
    with pytest.raises(DatabaseDamagedError, match="altlas db check"):
        Library(connection).text(*numbers.values())
    with pytest.raises(DatabaseDamagedError, match="text 999 is missing"):
        Library(connection).text(999)


def test_texts_are_found_in_the_index_of_hashes_once_it_has_caught_up(connection: sqlite3.Connection) -> None:
    first = Shelf(connection)
    numbers = _put(connection, first, [f"text number {number}" for number in range(200)])
    for limit, expected in ((150, True), (150, False), (150, False)):
        with transaction(connection):
            assert hashes.follow(connection, limit=limit) is expected
        first.followed()
    assert _put(connection, Shelf(connection), list(numbers)) == numbers
    assert _put(connection, first, [*numbers, "one more"])["one more"] == 201
    assert _count(connection, "bodies") == 201
    assert _count(connection, "body_hashes") == 200


def test_texts_are_found_that_the_index_of_hashes_does_not_have_yet(connection: sqlite3.Connection) -> None:
    numbers = _put(connection, Shelf(connection), ["a", "b"])
    with transaction(connection):
        hashes.follow(connection, limit=1)
    assert _put(connection, Shelf(connection), ["b", "a"]) == numbers
    assert _count(connection, "bodies") == 2


def _put(connection: sqlite3.Connection, kept: Shelf, texts: list[str]) -> dict[str, int]:
    with transaction(connection):
        found = kept.put(texts)
    return {text: number for text in texts if (number := found[text]) is not None}


def _programs(count: int) -> list[str]:
    chance = random.Random(5)
    return [
        f"def f{n}(xs):\n    # the sum of xs, times xs, less xs of the sum of xs\n"
        f"    return sum(xs) * {chance.randrange(999)} - {chance.randrange(999)}\n"
        for n in range(count)
    ]


def _count(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
