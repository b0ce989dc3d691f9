"""Small valid records, so that a test names only what it is about."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from altlas_agent.core.records import (
    Arm,
    Attempt,
    Case,
    CaseResult,
    Judged,
    Kind,
    Outcome,
    Score,
    Status,
    Task,
)
from storage.database import transaction
from storage.inserts import begin_run, insert
from storage.packing.archive import Archive
from storage.rows import AttemptRow, Rows, RunRow, attempt_row

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

NOW_NS = 1_800_000_000_000_000_000


def make_task(
    name: str = "add", *, suite: str = "quickstart", language: str = "python", instance: int = -1
) -> Task:
    """A task that asks for 8."""
    key = f"{suite}/{name}"
    return Task(
        id=key if instance < 0 else f"{key}#{instance}",
        suite=suite,
        name=name,
        description=f"Write a program called {name} that prints 8",
        target_language=language,
        kind=Kind.STDOUT,
        cases=(Case(expected='"8"'), Case(expected='"8"', hidden=True)),
        instance=instance,
        numbers=(5, 3),
    )


def make_judged(
    number: int = 1,
    *,
    task_id: str = "quickstart/add",
    score: float = 0.5,
    solved: bool = False,
    status: Status = Status.SUCCESS,
    code: str = "print(5 + 3)",
    stdout: str = "8\n",
    stderr: str = "",
) -> Judged:
    """An attempt that ran well and passed its visible test."""
    return Judged(
        attempt=Attempt(
            number=number,
            group=number // 8,
            task_id=task_id,
            code=code,
            tokens=(1, 20, 300),
            logps=(-0.5, -1.25, 0.0),
            policy_version=2,
            arm=Arm.POLICY,
        ),
        outcome=Outcome(
            status=status,
            cases=(
                CaseResult(passed=True, hidden=False, got='"8"'),
                CaseResult(passed=solved, hidden=True),
            ),
            violations=() if solved else ("the operator + is missing",),
            stdout=stdout,
            stderr=stderr,
            cpu_s=0.01,
            wall_s=0.02,
            max_rss_mb=9.5,
            rung="bubblewrap",
            engine="zygote",
        ),
        score=Score(value=score, parts={"output": score, "syntax": 1.0}, solved=solved),
        fingerprint=f"fingerprint-{number}",
    )


def make_run_row(name: str = "first", *, seed: int = 7, pid: int | None = None) -> RunRow:
    """A run of the quick-start suite, by this process."""
    return RunRow(
        name=name,
        suite="quickstart",
        seed=seed,
        started_ns=NOW_NS,
        version="0.1.0",
        pid=os.getpid() if pid is None else pid,
        settings_json='{"run": {"seed": 7}}',
    )


def make_attempt_rows(
    run_id: int, numbers: Sequence[int], *, task_id: str = "quickstart/add"
) -> list[AttemptRow]:
    """Attempts that fail, scored by their number: attempt 40 has score 0.4."""
    return [
        attempt_row(
            run_id, make_judged(number, task_id=task_id, score=number % 100 / 100), ts_ns=NOW_NS + number
        )
        for number in numbers
    ]


def store(connection: sqlite3.Connection, rows: Rows) -> None:
    """Commit rows on a writing connection."""
    with transaction(connection):
        insert(connection, rows, Archive(connection))


def store_run(connection: sqlite3.Connection, run: RunRow, tasks: Sequence[Task]) -> int:
    """Commit a run with its tasks on a writing connection; returns its number."""
    with transaction(connection):
        return begin_run(connection, run, tasks)
