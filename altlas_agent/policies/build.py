"""Settings to policy: which class for which kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.policies.lstm import Lstm
from altlas_agent.policies.recurrent import Recurrent
from altlas_agent.policies.transformer import Transformer
from altlas_agent.settings.policies import LstmPolicy, RecurrentPolicy, TransformerPolicy

if TYPE_CHECKING:
    from altlas_agent.policies.base import Policy
    from altlas_agent.settings.policies import Policy as PolicySettings


def build_policy(settings: PolicySettings, num_tokens: int, num_holes: int) -> Policy:
    """A policy of the chosen kind with random weights, drawn from torch's global generator."""
    match settings:
        case RecurrentPolicy():
            return Recurrent(settings, num_tokens, num_holes)
        case LstmPolicy():
            return Lstm(settings, num_tokens, num_holes)
        case TransformerPolicy():
            return Transformer(settings, num_tokens, num_holes)
