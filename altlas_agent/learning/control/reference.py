"""A frozen copy of the policy, taken anew after some versions, that the policy is held close to."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from altlas_agent.policies.base import Policy
    from altlas_agent.settings.learners.control import ReferenceSettings

_PREFIX = "reference."


class Reference:
    """Holds the copy; with a weight of 0 there is none."""

    def __init__(self, settings: ReferenceSettings) -> None:
        self._settings = settings
        self.policy: Policy | None = None

    def follow(self, policy: Policy, steps: int) -> None:
        """Take the copy anew when it is time; `steps` were taken before."""
        if not self._settings.weight:
            return
        if self.policy is None or steps % self._settings.refresh_versions == 0:
            self.policy = _frozen(policy)

    def tensors(self) -> dict[str, Tensor]:
        """To go on from later; nothing where there is no copy."""
        if self.policy is None:
            return {}
        return {f"{_PREFIX}{name}": t.contiguous() for name, t in self.policy.state_dict().items()}

    def restore(self, policy: Policy, tensors: Mapping[str, Tensor]) -> None:
        """Go on from there; `policy` has the shape of the copy."""
        own = {name.removeprefix(_PREFIX): t for name, t in tensors.items() if name.startswith(_PREFIX)}
        self.policy = _frozen(policy) if own else None
        if self.policy is not None:
            self.policy.load_state_dict(own)


def _frozen(policy: Policy) -> Policy:
    frozen = copy.deepcopy(policy)
    for weight in frozen.parameters():
        weight.requires_grad = False
        weight.grad = None
    return frozen
