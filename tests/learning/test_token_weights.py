"""Tokens that the tools blame bear more of a bad score."""

from __future__ import annotations

import pytest

from altlas_agent.core.records import Fault, ToolFeedback
from altlas_agent.learning.token_weights import blamed

FEEDBACK = ToolFeedback(fault=Fault.NAME, severity=0.5, blame=(0.0, 1.0, 0.5))


def test_the_blamed_token_bears_more_and_the_sum_stays() -> None:
    made = blamed((-1.0, -1.0, -1.0), FEEDBACK, 4.0)
    assert made == pytest.approx((-0.5, -1.5, -1.0))


def test_a_worse_fault_weighs_more() -> None:
    mild = ToolFeedback(fault=Fault.WRONG_ANSWER, severity=0.1, blame=FEEDBACK.blame)
    assert blamed((-1.0,) * 3, FEEDBACK, 4.0)[1] < blamed((-1.0,) * 3, mild, 4.0)[1] < -1.0


def test_good_advantages_are_not_shared_out() -> None:
    assert blamed((1.0, 1.0, 1.0), FEEDBACK, 4.0) == (1.0, 1.0, 1.0)
    assert blamed((1.0, -1.0, -1.0), FEEDBACK, 4.0) == pytest.approx((1.0, -1.2, -0.8))


@pytest.mark.parametrize(
    "feedback",
    [
        None,
        ToolFeedback(fault=Fault.NAME, severity=1.0),
        ToolFeedback(fault=Fault.NONE, severity=0.0, blame=(0.0,) * 3),
    ],
)
def test_without_blame_all_bear_the_same(feedback: ToolFeedback | None) -> None:
    assert blamed((-1.0,) * 3, feedback, 4.0) == (-1.0,) * 3


def test_switched_off_it_changes_nothing() -> None:
    row = (-0.1, -0.2, -0.3)
    assert blamed(row, FEEDBACK, 0.0) is row
