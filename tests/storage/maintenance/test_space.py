"""`altlas db vacuum`: what nobody uses goes, and the file with it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from storage.database import open_reader, open_writer, transaction
from storage.maintenance import space
from storage.maintenance.check import check
from storage.maintenance.space import vacuum
from storage.reading import queries
from storage.rows import EndRow, Rows, attempt_row
from storage.runs import deletion
from storage.writer import Writer
from tests.builders import NOW_NS, make_judged, make_run_row, make_task

if TYPE_CHECKING:
    from pathlib import Path

    from storage.rows import AttemptRow


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "altlas.db"


async def test_texts_of_deleted_runs_are_dropped_and_shared_ones_stay(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(space, "_PAGE", 3)
    async with Writer(path) as writer:
        for run_id in (1, 2):
            await writer.begin_run(make_run_row(), [make_task()])
            codes = ["print('shared')", *(f"print({run_id}, {number})" for number in range(40))]
            await writer.durable(Rows(attempts=_attempts(run_id, codes)))
            await writer.end_run(EndRow(run_id, "ended", "", NOW_NS))
        await writer.delete_run(1)
    assert vacuum(path).texts_dropped == 40
    with closing(open_reader(path)) as connection:
        assert queries.find_attempt(connection, 2, 1).code == "print('shared')"
        assert queries.find_attempt(connection, 2, 41).code == "print(2, 39)"
        assert all(each.ok for each in check(connection))
    assert vacuum(path).texts_dropped == 0


async def test_the_file_becomes_smaller(path: Path) -> None:
    async with Writer(path) as writer:
        await writer.begin_run(make_run_row(), [make_task()])
        codes = ["\n".join(f"print({line * number})" for line in range(40)) for number in range(500)]
        await writer.durable(Rows(attempts=_attempts(1, codes)))
        await writer.end_run(EndRow(1, "ended", "", NOW_NS))
        await writer.delete_run(1)
    shrunk = vacuum(path)
    assert shrunk.bytes_after < shrunk.bytes_before * 0.8


async def test_an_interrupted_deletion_is_finished(path: Path) -> None:
    async with Writer(path) as writer:
        await writer.begin_run(make_run_row(), [make_task()])
        await writer.durable(Rows(attempts=_attempts(1, ["print(1)"])))
        await writer.end_run(EndRow(1, "ended", "", NOW_NS))
    with closing(open_writer(path)) as connection, transaction(connection):
        deletion.mark(connection, 1)
    vacuum(path)
    with closing(open_reader(path)) as connection:
        assert queries.runs_page(connection) == []
        assert connection.execute("SELECT count(*) FROM bodies").fetchone() == (0,)


def _attempts(run_id: int, codes: list[str]) -> list[AttemptRow]:
    return [
        attempt_row(run_id, make_judged(number, code=code), ts_ns=NOW_NS)
        for number, code in enumerate(codes, 1)
    ]
