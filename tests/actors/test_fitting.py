"""However much a hostile program prints, its attempt can be announced."""

from __future__ import annotations

import msgspec
import pytest

from altlas_agent.actors.fitting import LEFT_OUT, bare
from altlas_agent.core.bus.packing import pack
from altlas_agent.core.errors import EventRefused
from altlas_agent.core.events import AttemptScored
from altlas_agent.core.records import CaseResult, Fault, Finding, Judged, Severity, ToolFeedback, Trace
from tests.builders import make_judged

WIDE = "\U0001f4a3"


def hostile() -> Judged:
    judged = make_judged(stdout=WIDE * 2_000, stderr=WIDE * 2_000)
    cases = tuple(CaseResult(passed=False, hidden=True, got=WIDE * 2_000) for _ in range(200))
    finding = Finding(rule="r", severity=Severity.LOW, line=1, column=1, message=WIDE * 200)
    values = {f"f{number}": {"x": WIDE * 80} for number in range(1_000)}
    feedback = ToolFeedback(
        fault=Fault.OTHER,
        severity=0.5,
        findings=(finding,) * 50,
        trace=Trace(lines=((1, 1),) * 100_000, values=values),
        blame=(0.5, 0.25, 0.0),
    )
    outcome = msgspec.structs.replace(judged.outcome, cases=cases)
    return msgspec.structs.replace(judged, outcome=outcome, feedback=feedback)


def test_the_most_that_may_be_judged_does_not_fit_in_an_event_and_fits_without_its_texts() -> None:
    with pytest.raises(EventRefused, match="are allowed"):
        pack(AttemptScored(judged=hostile()))
    pack(AttemptScored(judged=bare(hostile())))


def test_what_is_learned_from_stays_and_what_is_left_out_is_said() -> None:
    whole, left = hostile(), bare(hostile())
    assert (left.attempt, left.score, left.fingerprint) == (whole.attempt, whole.score, whole.fingerprint)
    assert [case.passed for case in left.outcome.cases] == [case.passed for case in whole.outcome.cases]
    assert left.outcome.status is whole.outcome.status
    assert left.outcome.stderr.endswith(LEFT_OUT)
    assert left.feedback is not None
    assert left.feedback.blame == (0.5, 0.25, 0.0)
