"""Which versions of SQLite may damage a database that is written and checkpointed at the same instant."""

from __future__ import annotations

import sqlite3

import pytest

from storage import engine
from storage.engine import has_wal_reset_bug


@pytest.mark.parametrize(
    "version",
    [
        (3, 7, 0),
        (3, 40, 1),
        (3, 44, 5),
        (3, 45, 0),
        (3, 49, 99),
        (3, 50, 0),
        (3, 50, 6),
        (3, 51, 0),
        (3, 51, 2),
    ],
)
def test_a_version_with_the_bug_is_told(version: tuple[int, int, int]) -> None:
    assert has_wal_reset_bug(version)


@pytest.mark.parametrize(
    "version",
    [(3, 6, 23), (3, 44, 6), (3, 44, 7), (3, 50, 7), (3, 50, 9), (3, 51, 3), (3, 52, 0), (4, 0, 0)],
)
def test_a_version_without_the_bug_is_told(version: tuple[int, int, int]) -> None:
    assert not has_wal_reset_bug(version)


def test_the_advice_names_the_version_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 2))
    monkeypatch.setattr(sqlite3, "sqlite_version", "3.51.2")
    found = engine.engine()
    assert found.has_wal_reset_bug
    assert "SQLite 3.51.2 has the WAL-reset bug" in found.advice
    assert "3.51.3 or newer" in found.advice


def test_a_sound_version_needs_no_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))
    found = engine.engine()
    assert (found.has_wal_reset_bug, found.has_search, found.advice) == (False, True, "")
