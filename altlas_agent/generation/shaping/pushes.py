"""What is added to the logits of every token of a program alike: boosts, less what is written too much."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from altlas_agent.generation.constrained import boost
from altlas_agent.generation.shaping.spoken import spoken_of
from altlas_agent.policies.tensors import from_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from altlas_agent.core.records import Conditions, Strategy, Task


def pushes_of(task: Task, hint: str, strategy: Strategy, penalties: Sequence[float]) -> bytes:
    """Of a strategy whose boost alone does not say it, as `Conditions` keep them. `penalties`: one for each token."""
    pushes_V = boost(task, strategy.boost)
    for text, factor in ((task.description, strategy.text_boost), (hint, strategy.hint_boost)):
        if factor > 1.0:
            pushes_V[list(spoken_of(text))] += math.log(factor)
    if penalties:
        pushes_V -= torch.tensor(penalties)
    data: bytes = pushes_V.numpy().tobytes()
    return data


def pushed(task: Task, conditions: Conditions) -> Tensor:
    """(V,) of these conditions."""
    if not conditions.pushes:
        return boost(task, conditions.strategy.boost)
    return from_array(np.frombuffer(conditions.pushes, dtype=np.float32).copy())
