"""Exams are kept with their run, newest first, and go when it goes."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from storage.database import open_reader
from storage.rows import EndRow
from storage.runs.exams import ExamRow, exams_of
from storage.writer import Writer
from tests.builders import NOW_NS, make_run_row, make_task

if TYPE_CHECKING:
    from pathlib import Path


def exam(run_id: int, at: int, report: str = "{}") -> ExamRow:
    return ExamRow(run_id, NOW_NS + at, 40 + at, "ab" * 32, 7, 8, report)


async def test_exams_are_read_newest_first_and_kept_once(tmp_path: Path) -> None:
    path = tmp_path / "altlas.db"
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        for row in (exam(run_id, 1), exam(run_id, 2), exam(run_id, 1, '{"again": true}')):
            assert await writer.keep_exam(row)
    with closing(open_reader(path)) as connection:
        assert exams_of(connection, run_id) == [exam(run_id, 2), exam(run_id, 1, '{"again": true}')]
        assert exams_of(connection, run_id, limit=1) == [exam(run_id, 2)]


async def test_no_exam_is_kept_of_a_run_that_is_not_there_or_goes(tmp_path: Path) -> None:
    path = tmp_path / "altlas.db"
    async with Writer(path) as writer:
        run_id = await writer.begin_run(make_run_row(), [make_task()])
        assert not await writer.keep_exam(exam(run_id + 1, 1))
        assert await writer.keep_exam(exam(run_id, 1))
        await writer.end_run(EndRow(run_id, "ended", "done", NOW_NS + 1))
        assert await writer.delete_run(run_id)
    with closing(open_reader(path)) as connection:
        assert exams_of(connection, run_id, limit=0) == []
