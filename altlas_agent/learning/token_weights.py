"""Who bears a bad score: the tokens that the tools blame for it bear more, the others less.

The blame of a token is worked out where an attempt is judged, from the place of an error and from what its
trace shows was reached (decision 007); the severity of the fault scales it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from altlas_agent.core.records import ToolFeedback
    from altlas_agent.learning.algorithms.base import Row


def blamed(advantages: Row, feedback: ToolFeedback | None, strength: float) -> Row:
    """The advantages of an attempt's tokens with the negative ones shared out anew, their sum as before.

    A token weighs 1 + strength x severity x blame. Positive advantages stay: the tools blame, they do not praise.
    """
    if not strength or feedback is None or len(feedback.blame) != len(advantages):
        return advantages
    weights = [
        1.0 + strength * feedback.severity * blame if advantage < 0 else 1.0
        for advantage, blame in zip(advantages, feedback.blame, strict=True)
    ]
    before = sum(advantage for advantage in advantages if advantage < 0)
    after = sum(a * w for a, w in zip(advantages, weights, strict=True) if a < 0)
    share = before / after if after else 1.0
    return tuple(a * w * share if a < 0 else a for a, w in zip(advantages, weights, strict=True))
