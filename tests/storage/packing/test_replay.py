"""Events that told of attempts are made again from them, byte for byte."""

from __future__ import annotations

import math
from contextlib import closing
from typing import TYPE_CHECKING

import anyio
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from altlas_agent.actors.recorder import rows_of
from altlas_agent.core.errors import DatabaseDamagedError
from altlas_agent.core.events import AttemptScored, Envelope, Note
from altlas_agent.core.records import (
    Arm,
    Attempt,
    CaseResult,
    Fault,
    Finding,
    Judged,
    Outcome,
    Place,
    Score,
    Severity,
    Status,
    ToolFeedback,
    Trace,
)
from storage.database import open_reader, open_writer
from storage.packing.replay import scored_payload
from storage.reading import queries
from storage.rows import attempt_row
from storage.writer import Writer
from tests.builders import NOW_NS, make_judged, make_run_row, make_task, store, store_run

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence
    from pathlib import Path

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
PLACES = st.builds(
    Place, line=st.integers(0, 99), column=st.integers(0, 9), end_line=st.just(0), end_column=st.just(0)
)
TRACES = st.builds(
    Trace,
    lines=st.lists(st.tuples(st.integers(1, 99), st.integers(0, 9)), max_size=3).map(tuple),
    values=st.dictionaries(TEXT, st.dictionaries(TEXT, TEXT, max_size=2), max_size=2),
    place=st.none() | PLACES,
    complete=st.booleans(),
)
FINDINGS = st.builds(
    Finding,
    rule=TEXT,
    severity=st.sampled_from(Severity),
    line=st.integers(0, 9),
    column=st.integers(0, 9),
    message=TEXT,
)
FEEDBACK = st.builds(
    ToolFeedback,
    fault=st.sampled_from(Fault),
    severity=st.floats(),
    message=TEXT,
    line=st.integers(0, 99),
    column=st.integers(0, 99),
    function=TEXT,
    findings=st.lists(FINDINGS, max_size=2).map(tuple),
    trace=st.none() | TRACES,
    blame=st.lists(st.floats(0, 1), max_size=5).map(tuple),
)
JUDGED = st.builds(
    Judged,
    attempt=st.builds(
        Attempt,
        number=st.integers(0, 10**9),
        group=st.integers(0, 10**6),
        task_id=st.just("quickstart/add") | TEXT.map("quickstart/add#{}".format),
        code=TEXT,
        tokens=st.lists(st.integers(0, 65535), max_size=6).map(tuple),
        logps=st.lists(st.floats(), max_size=6).map(tuple),
        policy_version=st.integers(0, 10**6),
        arm=st.sampled_from(Arm),
    ),
    outcome=st.builds(
        Outcome,
        status=st.sampled_from(Status),
        cases=st.lists(
            st.builds(CaseResult, passed=st.booleans(), hidden=st.booleans(), got=TEXT), max_size=3
        ).map(tuple),
        violations=st.lists(TEXT, max_size=2).map(tuple),
        stdout=TEXT,
        stderr=TEXT,
        cpu_s=FINITE,
        wall_s=FINITE,
        max_rss_mb=FINITE,
        rung=TEXT,
        engine=TEXT,
    ),
    score=st.builds(
        Score,
        value=FINITE,
        parts=st.dictionaries(TEXT, st.floats(), max_size=5),
        solved=st.booleans(),
    ),
    fingerprint=TEXT | st.binary(max_size=16).map(bytes.hex),
    feedback=st.none() | FEEDBACK,
)


@given(judged=JUDGED)
@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
def test_the_row_of_an_attempt_makes_the_bytes_of_its_event(judged: Judged) -> None:
    (event,) = rows_of([_envelope(1, judged)]).events
    payload = event.payload if isinstance(event.payload, bytes) else scored_payload(event.payload)
    assert payload == msgspec.msgpack.encode(AttemptScored(judged=judged))


@given(many=st.lists(JUDGED, min_size=1, max_size=8, unique_by=lambda judged: judged.attempt.number))
@settings(
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
def test_replayed_events_are_byte_equal(tmp_path_factory: pytest.TempPathFactory, many: list[Judged]) -> None:
    with closing(open_writer(tmp_path_factory.mktemp("replay") / "altlas.db")) as connection:
        store_run(connection, make_run_row(), [make_task()])
        store(connection, rows_of(_envelope(seq, judged) for seq, judged in enumerate(many, start=1)))
        assert _payloads(connection) == [
            msgspec.msgpack.encode(AttemptScored(judged=judged)) for judged in many
        ]


def test_the_newest_form_has_every_field_that_records_have_today() -> None:
    """A field more is a new form: see storage/packing/replay.py."""
    judged = make_judged()
    judged = msgspec.structs.replace(judged, feedback=ToolFeedback(fault=Fault.VALUE, severity=0.5))
    payload = scored_payload(attempt_row(1, judged, ts_ns=NOW_NS))
    assert payload == msgspec.msgpack.encode(AttemptScored(judged=judged))


def test_an_event_holds_no_second_copy_of_the_texts(tmp_path: Path) -> None:
    judged = make_judged(code="print('the program')" * 50, stdout="what it wrote" * 50)
    with closing(open_writer(tmp_path / "altlas.db")) as connection:
        store_run(connection, make_run_row(), [make_task()])
        store(connection, rows_of([_envelope(1, judged)]))
        assert connection.execute("SELECT attempt, length(payload) FROM events").fetchall() == [(1, 1)]


async def test_a_number_that_is_told_of_twice_keeps_both_events(tmp_path: Path) -> None:
    path = tmp_path / "altlas.db"
    first, second = make_judged(7, code="print(1)"), make_judged(7, code="print(2)")
    async with Writer(path) as writer:
        await writer.begin_run(make_run_row(), [make_task()])
        await writer.durable(rows_of([_envelope(1, first)]))
        await writer.durable(rows_of([_envelope(2, second), _envelope(3, first)]))
    with closing(open_reader(path)) as connection:
        assert _payloads(connection) == [
            msgspec.msgpack.encode(AttemptScored(judged=judged)) for judged in (first, second, first)
        ]
        assert queries.find_attempt(connection, 1, 7).code == "print(1)"


async def test_an_event_that_is_stored_again_is_stored_once(tmp_path: Path) -> None:
    path = tmp_path / "altlas.db"
    envelopes = [_envelope(seq, make_judged(seq)) for seq in (1, 2, 3)]
    async with Writer(path) as writer:
        await writer.begin_run(make_run_row(), [make_task()])
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(writer.durable, rows_of(envelopes))
    with closing(open_reader(path)) as connection:
        assert len(_payloads(connection)) == 3
        assert connection.execute("SELECT count(*), count(attempt) FROM events").fetchone() == (3, 3)


def test_a_feedback_that_json_cannot_hold_stays_whole(tmp_path: Path) -> None:
    feedback = ToolFeedback(fault=Fault.VALUE, severity=math.nan, blame=(0.5,))
    judged = msgspec.structs.replace(make_judged(), feedback=feedback)
    with closing(open_writer(tmp_path / "altlas.db")) as connection:
        store_run(connection, make_run_row(), [make_task()])
        store(connection, rows_of([_envelope(1, judged)]))
        assert _payloads(connection) == [msgspec.msgpack.encode(AttemptScored(judged=judged))]


def test_pages_of_events_meet(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "altlas.db")) as connection:
        store_run(connection, make_run_row(), [make_task()])
        note = Envelope(run_id=1, seq=11, monotonic_ns=0, wall_ns=0, event=Note(level="info", text="end"))
        store(connection, rows_of([*[_envelope(seq, make_judged(seq)) for seq in range(1, 11)], note]))
        seqs: list[int] = []
        while page := queries.events_page(connection, 1, after=seqs[-1] if seqs else 0, limit=4):
            seqs += [event.seq for event in page]
        assert seqs == list(range(1, 12))


def test_an_event_whose_attempt_is_gone_or_whose_form_is_unknown_is_damaged(tmp_path: Path) -> None:
    with closing(open_writer(tmp_path / "altlas.db")) as connection:
        store_run(connection, make_run_row(), [make_task()])
        store(connection, rows_of([_envelope(1, make_judged(1)), _envelope(2, make_judged(2))]))
        connection.execute("UPDATE events SET payload = x'63' WHERE seq = 1")
        with pytest.raises(DatabaseDamagedError, match="unknown form"):
            queries.events_page(connection, 1)
        connection.execute("DELETE FROM attempts WHERE number = 2")
        with pytest.raises(
            DatabaseDamagedError, match="event 2 of run r1 told of attempt 2, which is missing"
        ):
            queries.events_page(connection, 1, after=1)


def _envelope(seq: int, judged: Judged) -> Envelope:
    return Envelope(
        run_id=1,
        seq=seq,
        monotonic_ns=seq * 7,
        wall_ns=NOW_NS + seq,
        cause_seq=None,
        event=AttemptScored(judged=judged),
    )


def _payloads(connection: sqlite3.Connection) -> Sequence[bytes]:
    return [event.payload for event in queries.events_page(connection, 1)]
