"""A home with three runs, as the commands over history meet it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from altlas_agent.core.events import Note, PolicyUpdated, RunStarted, TaskSolved
from altlas_agent.core.records import Arm, Status
from storage import search
from storage.database import open_writer, transaction
from storage.rows import EndRow, EventRow, JailRow, MetricRow, Rows, SolvedRow, attempt_row
from storage.runs.marks import retag, set_note
from tests.builders import NOW_NS, make_attempt_rows, make_judged, make_run_row, make_task, store, store_run

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

    from altlas_agent.core.events import Event
    from storage.rows import AttemptRow

Altlas: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]

HOSTILE = "print('[bold]\x1b[2J\x9b31m\u202e')\r\nx = 1"
GONE = 2**22 + 1
"""A process number that Linux does not give."""

_pack = msgspec.msgpack.Encoder().encode


def fill(home: Path) -> None:
    """r1 "first" (ended, 61 attempts, tagged), r2 "hostile" (ended, one attempt) and r3 "first" (its process is gone)."""
    tasks = [make_task("add"), make_task("greet", language="javascript")]
    with closing(open_writer(home / "altlas.db")) as connection:
        store_run(connection, make_run_row("first"), tasks)
        store_run(connection, make_run_row("\x1b[31mred[/red]", seed=8), tasks)
        store_run(connection, make_run_row("first", pid=GONE), tasks)
        solving = attempt_row(1, make_judged(61, score=1.0, solved=True), ts_ns=NOW_NS)
        store(
            connection,
            Rows(
                attempts=[
                    *make_attempt_rows(1, range(1, 61)),
                    solving,
                    hostile_row(),
                    *make_attempt_rows(3, [1]),
                ],
                solved=[SolvedRow(1, "quickstart/add", 61), SolvedRow(2, "quickstart/greet", 7)],
                jails=[JailRow(1, "bubblewrap", '["userns","seccomp"]')],
                ends=[EndRow(run, "ended", "out of attempts", NOW_NS, 90.0) for run in (1, 2)],
                metrics=[MetricRow(1, "loss", 1, 0.5, NOW_NS), MetricRow(1, "loss", 2, None, NOW_NS)],
                events=_events(solving),
            ),
        )
        _mark(connection)


def hostile_row() -> AttemptRow:
    """Attempt 7 of r2, which solves its task and whose texts would take over a terminal."""
    judged = make_judged(
        7, task_id="quickstart/greet", status=Status.TIMEOUT, solved=True, code=HOSTILE, stdout=HOSTILE
    )
    attempt = msgspec.structs.replace(judged.attempt, arm=Arm.GRAMMAR, policy_version=5)
    outcome = msgspec.structs.replace(judged.outcome, violations=("[bold]\x1b]0;x\x07",))
    return attempt_row(2, msgspec.structs.replace(judged, attempt=attempt, outcome=outcome), ts_ns=NOW_NS)


def _events(solving: AttemptRow) -> list[EventRow]:
    """Five of r1, the fourth of which tells of its attempt 61, and a hostile one of r2."""
    told: list[Event | None] = [
        RunStarted(run_id=1, suite="quickstart", seed=7, tasks=2),
        PolicyUpdated(version=1, metrics={"loss": 0.5}),
        Note(level="info", text="half way"),
        None,
        TaskSolved(task_key="quickstart/add", attempt_number=61, code="print(5 + 3)"),
    ]
    rows = [_row(1, seq, event, solving) for seq, event in enumerate(told, start=1)]
    return [*rows, _row(2, 1, Note(level="info", text=HOSTILE), solving)]


def _row(run: int, seq: int, event: Event | None, attempt: AttemptRow) -> EventRow:
    kind = "AttemptScored" if event is None else type(event).__name__
    payload = attempt if event is None else _pack(event)
    return EventRow(run, seq, kind, seq, NOW_NS + seq * 10**9, None, payload)


def _mark(connection: sqlite3.Connection) -> None:
    with transaction(connection):
        retag(connection, 1, add=["best", "kept"], remove=[])
        retag(connection, 3, add=["kept"], remove=[])
        set_note(connection, 1, "the one to look at\nagain")
        search.index(connection, limit=1000)


def assert_harmless(text: str) -> None:
    """No letter of it does anything to a terminal."""
    assert [letter for letter in text if letter != "\n" and not letter.isprintable()] == []
