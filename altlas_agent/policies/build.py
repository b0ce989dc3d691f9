"""Name to class: the table of policies."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.policies.recurrent import Recurrent

if TYPE_CHECKING:
    from altlas_agent.policies.base import Policy
    from altlas_agent.settings.policies import Policy as PolicySettings

POLICIES: dict[str, type[Recurrent]] = {"recurrent": Recurrent}


def build_policy(settings: PolicySettings, num_tokens: int, num_holes: int) -> Policy:
    """A policy of the chosen kind with random weights, drawn from torch's global generator."""
    return POLICIES[settings.type](settings, num_tokens, num_holes)
