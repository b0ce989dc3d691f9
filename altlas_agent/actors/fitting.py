"""An attempt that fits in an event: a hostile program decides how much its output and its trace weigh."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from altlas_agent.core.records import Judged

LEFT_OUT = "(texts of this attempt were left out: together they are more than an event may carry)"
KEPT_CHARS = 1_000
KEPT_FINDINGS = 10


def bare(judged: Judged) -> Judged:
    """The same verdict without most of the texts for people, which says so at the end of `stderr`.

    What was sampled, how each test went and the score are untouched: they are learned from.
    """
    outcome, feedback = judged.outcome, judged.feedback
    cases = tuple(msgspec.structs.replace(case, got="") for case in outcome.cases)
    stderr = f"{outcome.stderr[-KEPT_CHARS:]}\n{LEFT_OUT}"
    if feedback is not None:
        findings = feedback.findings[:KEPT_FINDINGS]
        feedback = msgspec.structs.replace(feedback, trace=None, findings=findings)
    return msgspec.structs.replace(
        judged,
        outcome=msgspec.structs.replace(
            outcome, cases=cases, stdout=outcome.stdout[:KEPT_CHARS], stderr=stderr
        ),
        feedback=feedback,
    )
