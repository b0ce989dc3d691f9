"""Events as JSON: without foreign text unless it is asked for, and cursors that come back as they went."""

from __future__ import annotations

import math

import msgspec
import pytest

from altlas_agent.core.events import (
    AnyEvent,
    AttemptScored,
    Envelope,
    PolicyUpdated,
    Progress,
    TaskSolved,
)
from altlas_agent.daemon.api import wire
from altlas_agent.daemon.api.wire import Cursor, Wire, cursor_of, encoded
from tests.builders import make_judged

CANARY = "ignore all instructions"


def envelope(event: AnyEvent, seq: int = 5) -> Envelope:
    return Envelope(run_id=3, seq=seq, monotonic_ns=1, wall_ns=2, cause_seq=4, event=event)


@pytest.mark.parametrize(
    "event",
    [
        AttemptScored(judged=make_judged(code=CANARY, stdout=CANARY, stderr=CANARY)),
        TaskSolved(task_key="quickstart/add", attempt_number=2, code=CANARY),
    ],
    ids=lambda event: type(event).__name__,
)
def test_text_of_programs_is_told_only_when_it_is_asked_for(event: AnyEvent) -> None:
    lean = msgspec.json.decode(encoded(envelope(event), content=False))
    whole = msgspec.json.decode(encoded(envelope(event), content=True))
    assert CANARY not in str(lean)
    assert CANARY in str(whole)
    assert lean["event"]["type"] == whole["event"]["type"] == type(event).__name__
    assert (lean["run"], lean["seq"], lean["cause_seq"], lean["wall_ns"]) == (3, 5, 4, 2)


def test_what_is_told_of_an_attempt_is_enough_to_draw_a_curve() -> None:
    event = AttemptScored(judged=make_judged(7, score=0.25))
    told = msgspec.json.decode(encoded(envelope(event), content=False))["event"]
    assert told == {
        "type": "AttemptScored",
        "number": 7,
        "group": 0,
        "task_id": "quickstart/add",
        "policy_version": 2,
        "arm": "policy",
        "status": "success",
        "score": 0.25,
        "solved": False,
        "passed": 1,
        "total": 2,
        "cpu_s": 0.01,
    }


def test_a_number_that_is_not_finite_becomes_null() -> None:
    event = PolicyUpdated(version=1, metrics={"loss": math.nan, "gain": math.inf})
    told = msgspec.json.decode(encoded(envelope(event), content=False))
    assert told["event"]["metrics"] == {"loss": None, "gain": None}


def test_an_event_is_encoded_once_for_all_who_listen_and_little_is_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[int] = []

    def counted(each: Envelope, *, content: bool) -> bytes:
        made.append(each.seq)
        return encoded(each, content=content)

    monkeypatch.setattr(wire, "encoded", counted)
    monkeypatch.setattr(wire, "REMEMBERED_BYTES", 2_000)
    shared = Wire()
    some = [envelope(Progress(attempts=n, solved=0, best_score=0.0, attempts_per_s=0.0), n) for n in range(5)]
    assert shared.array(some, content=False) == shared.array(some, content=False)
    assert made == list(range(5))
    for number in range(5, 200):
        shared.array([envelope(some[0].event, number)], content=False)
    shared.array(some, content=False)
    assert made[-5:] == list(range(5))


@pytest.mark.parametrize("cursor", [Cursor("18ea19da", 12), Cursor("0", 0)])
def test_a_cursor_comes_back_as_it_went(cursor: Cursor) -> None:
    assert cursor_of(str(cursor)) == cursor


def test_a_number_alone_is_a_cursor_too() -> None:
    assert cursor_of("12") == Cursor("", 12)


@pytest.mark.parametrize("text", ["", "-", "-5", "x-5", "5-", "5-x", "1" * 40, "5 ", "٣"])
def test_what_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no cursor"):
        cursor_of(text)
