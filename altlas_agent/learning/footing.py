"""The way back from weights that cannot be learned from any more.

A step that is not finite is skipped. After `MAX_SKIPPED` of them in a row, or when a weight itself is not finite,
the student goes back to the checkpoint from before and learns at half the rate. What is remembered of that
travels in the checkpoints, so that a run that was interrupted goes the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from altlas_agent.core.errors import PolicyError
from altlas_agent.core.states import FootingState

if TYPE_CHECKING:
    from altlas_agent.core.requests import CheckpointFile
    from altlas_agent.policies.base import Policy

MAX_SKIPPED = 3
MAX_RETURNS = 4
"""So often in a row the student goes back before it gives up."""


class Footing:
    """Where the student stood before learning failed. `good` is None before the first checkpoint."""

    def __init__(self) -> None:
        self.good: CheckpointFile | None = None
        self._skipped = 0
        self._returns = 0
        self._halvings = 0

    @property
    def rate_share(self) -> float:
        """What is left of the learning rate."""
        return 0.5**self._halvings

    def stands(self, policy: Policy, skipped: str) -> bool:
        """Whether learning may go on from here; otherwise the student has to go back.

        Raises PolicyError when going back has not helped.
        """
        self._skipped = self._skipped + 1 if skipped else 0
        if self._skipped < MAX_SKIPPED and _are_finite(policy):
            if not skipped:
                self._returns = 0
            return True
        if self._returns >= MAX_RETURNS:
            raise PolicyError(
                f"learning came to numbers that are not finite, also after {MAX_RETURNS} returns to older weights "
                f"({skipped or 'a weight is not finite'}); try a smaller learning.learning_rate"
            )
        self._skipped, self._returns, self._halvings = 0, self._returns + 1, self._halvings + 1
        return False

    def saved(self, file: CheckpointFile) -> None:
        """A checkpoint was written, or restored; one from amid skipped steps is no place to go back to."""
        if not self._skipped:
            self.good = file

    def state(self) -> FootingState:
        """To go on from later."""
        good = self.good if self._skipped else None  # else it is the checkpoint that this travels in
        return FootingState(skipped=self._skipped, returns=self._returns, halvings=self._halvings, good=good)

    def restore(self, state: FootingState, file: CheckpointFile) -> None:
        """Go on from there; `file` is where the state was read."""
        self._skipped, self._returns, self._halvings = state.skipped, state.returns, state.halvings
        self.good = state.good if state.skipped else file


def _are_finite(policy: Policy) -> bool:
    return bool(torch.isfinite(torch.nn.utils.get_total_norm(policy.parameters())))
