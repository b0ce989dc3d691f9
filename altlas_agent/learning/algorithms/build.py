"""Settings to algorithm: the table of algorithms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.learning.algorithms.dapo import Dapo
from altlas_agent.learning.algorithms.grpo import Grpo, Gspo
from altlas_agent.learning.algorithms.reinforce import Reinforce, ReinforcePlus
from altlas_agent.learning.algorithms.rloo import Rloo
from altlas_agent.settings.learners import algorithms as kinds

if TYPE_CHECKING:
    from altlas_agent.learning.algorithms.base import Algorithm
    from altlas_agent.settings.learning import LearningSettings
    from altlas_agent.settings.section import Section


def build_algorithm(settings: LearningSettings) -> Algorithm[Section]:
    discount = settings.credit.discount
    match settings.algorithm:
        case kinds.Grpo() as grpo:
            return Grpo(grpo, discount)
        case kinds.Dapo() as dapo:
            return Dapo(dapo, discount)
        case kinds.Gspo() as gspo:
            return Gspo(gspo, discount)
        case kinds.Rloo() as rloo:
            return Rloo(rloo, discount)
        case kinds.Reinforce() as reinforce:
            return Reinforce(reinforce, discount)
        case kinds.ReinforcePlus() as plus:
            return ReinforcePlus(plus, discount)
