"""Loss functions against hand-checkable numbers."""

from __future__ import annotations

import math

import pytest
import torch

from altlas_agent.learning.losses import clipped_policy_gradient, entropy


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss"), [(1.5, 1.0, -1.2), (1.5, -1.0, 1.5), (0.5, -1.0, 0.8), (0.5, 1.0, -0.5)]
)
def test_the_clipped_surrogate_equals_the_published_numbers(
    ratio: float, advantage: float, loss: float
) -> None:
    made = clipped_policy_gradient(
        torch.tensor([[math.log(ratio)]]), torch.zeros(1, 1), torch.tensor([[advantage]]), clip=0.2
    )
    assert float(made) == pytest.approx(loss, abs=1e-6)


def test_the_entropy_of_a_uniform_choice_is_its_logarithm_and_masked_tokens_add_nothing() -> None:
    logits = torch.tensor([[[0.0, 0.0, 0.0, 0.0, -1e9]]])
    assert float(entropy(logits.log_softmax(-1))) == pytest.approx(math.log(4), abs=1e-6)
