"""Name to class: the table of algorithms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.learning.algorithms.grpo import Grpo

if TYPE_CHECKING:
    from altlas_agent.learning.algorithms.base import Algorithm
    from altlas_agent.settings.learning import Algorithm as AlgorithmSettings

ALGORITHMS: dict[str, type[Grpo]] = {"grpo": Grpo}


def build_algorithm(settings: AlgorithmSettings) -> Algorithm:
    return ALGORITHMS[settings.type](settings)
