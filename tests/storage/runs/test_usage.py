"""Attempts by their tokens."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from storage.database import open_writer
from storage.rows import Rows
from storage.runs import usage
from tests.builders import make_attempt_rows, make_run_row, make_task, store, store_run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_the_attempts_of_one_run_come_in_pages_oldest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "PAGE", 2)
    with closing(open_writer(tmp_path / "altlas.db")) as connection:
        for _ in range(2):
            run_id = store_run(connection, make_run_row(), [make_task("add")])
            rows = make_attempt_rows(run_id, range(5))
            rows[3] = rows[3]._replace(tokens=b"")
            store(connection, Rows(attempts=rows))
        pages = list(usage.token_uses(connection, 2))
    assert [[use.number for use in page] for page in pages] == [[0, 1], [2], [4]]
    first = pages[0][0]
    assert (first.tokens, first.task, first.language) == ((1, 20, 300), "quickstart/add", "python")
    assert (first.solved, first.fingerprint) == (False, "fingerprint-0")


def test_a_run_without_attempts_has_no_pages(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "altlas.db")) as connection:
        run_id = store_run(connection, make_run_row(), [make_task("add")])
        assert list(usage.token_uses(connection, run_id)) == []
