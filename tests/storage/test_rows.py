from __future__ import annotations

import json
import math

import msgspec

from altlas_agent.core.events import AnyEvent, Envelope, Note
from altlas_agent.core.records import Task
from storage.packing.cases import unpack_cases
from storage.packing.vectors import unpack_rewards
from storage.rows import (
    Rows,
    attempt_row,
    event_row,
    metric_rows,
    task_key,
    task_row,
)
from tests.builders import NOW_NS, make_attempt_rows, make_judged, make_task


def test_an_attempt_row_says_what_the_record_says() -> None:
    row = attempt_row(3, make_judged(17, task_id="quickstart/add#4", score=0.75), ts_ns=NOW_NS)
    assert (row.run_id, row.number, row.group_no, row.ts_ns) == (3, 17, 2, NOW_NS)
    assert (row.task_key, row.instance_id) == ("quickstart/add", "quickstart/add#4")
    assert (row.status, row.arm, row.score, row.solved) == ("success", "policy", 0.75, False)
    assert (row.passed, row.total) == (1, 2)
    assert row.reward_names == ("output", "syntax")
    assert unpack_rewards(row.rewards, 2) == (0.75, 1.0)
    assert json.loads(row.violations) == ["the operator + is missing"]
    assert unpack_cases(row.cases)[0] == (True, False, '"8"')
    assert (row.code, row.stdout) == ("print(5 + 3)", "8\n")


def test_a_task_row_holds_the_whole_task() -> None:
    task = make_task("negate", language="javascript")
    row = task_row(1, task)
    assert (row.key, row.name, row.language, row.kind) == (
        "quickstart/negate",
        "negate",
        "javascript",
        "stdout",
    )
    assert msgspec.json.decode(row.spec_json, type=Task) == task


def test_a_metric_that_is_not_finite_is_stored_as_none() -> None:
    rows = metric_rows(1, 5, {"loss": 0.5, "entropy": math.nan, "norm": math.inf}, ts_ns=NOW_NS)
    assert [(row.name, row.version, row.value) for row in rows] == [
        ("loss", 5, 0.5),
        ("entropy", 5, None),
        ("norm", 5, None),
    ]


def test_an_event_row_holds_the_event_in_msgpack() -> None:
    event = Note(level="info", text="hello")
    envelope = Envelope(run_id=1, seq=4, monotonic_ns=5, wall_ns=6, cause_seq=2, event=event)
    row = event_row(envelope)
    assert (row.run_id, row.seq, row.type, row.monotonic_ns, row.wall_ns, row.cause_seq) == (
        1,
        4,
        "Note",
        5,
        6,
        2,
    )
    assert isinstance(row.payload, bytes)
    assert msgspec.msgpack.decode(row.payload, type=AnyEvent) == event


def test_the_key_of_an_instance_is_that_of_its_family() -> None:
    assert task_key("ladder/sum#12") == task_key("ladder/sum") == "ladder/sum"


def test_rows_add_up() -> None:
    rows = Rows(attempts=make_attempt_rows(1, [1, 2]))
    rows.extend(Rows(attempts=make_attempt_rows(1, [3]), metrics=metric_rows(1, 1, {"loss": 1.0}, ts_ns=0)))
    assert len(rows) == 4
    assert [row.number for row in rows.attempts] == [1, 2, 3]
    assert not Rows()
