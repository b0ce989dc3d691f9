"""Exams of runs: each is written once and read whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import sqlite3

# Written again after an answer that was lost, an exam is the same; of a run that is not there none is written.
KEEP = (
    "INSERT INTO exams (run_id, taken_ns, version, sha256, seed, k, report_json) "
    "SELECT id, ?2, ?3, ?4, ?5, ?6, ?7 FROM runs WHERE id = ?1 "
    "ON CONFLICT (run_id, taken_ns) DO UPDATE SET report_json = excluded.report_json"
)
EXAMS = (
    "SELECT run_id, taken_ns, version, sha256, seed, k, report_json FROM exams "
    "WHERE run_id = ? ORDER BY taken_ns DESC LIMIT ?"
)


class ExamRow(NamedTuple):
    """One exam of one checkpoint of a run; `report_json` is all that it came to."""

    run_id: int
    taken_ns: int
    version: int
    sha256: str
    seed: int
    k: int
    report_json: str


def keep(connection: sqlite3.Connection, exam: ExamRow) -> int:
    """Store an exam; returns 0 when there is no such run."""
    return connection.execute(KEEP, exam).rowcount


def exams_of(connection: sqlite3.Connection, run_id: int, *, limit: int = 50) -> list[ExamRow]:
    """The exams of a run, newest first; all of them if `limit` is 0."""
    return [ExamRow._make(row) for row in connection.execute(EXAMS, (run_id, limit or -1)).fetchall()]
