"""Adam over the weights of a policy.

Kingma & Ba 2014 (arXiv 1412.6980), computed by torch's own fused function, to the same bits as
`torch.optim.Adam`. That class loads torch's compiler as soon as it is made: two seconds of every start of a
student, and 60 MB, for something that is never compiled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.optim.adam import adam

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from torch import Tensor, nn

BETAS = (0.9, 0.999)
EPSILON = 1e-8
_STEP, _MEAN, _SQUARE = "step", "exp_avg", "exp_avg_sq"


class Adam:
    """Weights, and for each the number of its steps and its two moments."""

    def __init__(self, weights: Iterable[nn.Parameter], learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self._weights = list(weights)
        self._moments = [
            {_STEP: torch.zeros(()), _MEAN: torch.zeros_like(w), _SQUARE: torch.zeros_like(w)}
            for w in self._weights
        ]

    def forget_gradients(self) -> None:
        """Before they are computed anew."""
        for weight in self._weights:
            weight.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move every weight that has a gradient."""
        moved = [
            (weight, weight.grad, moments)
            for weight, moments in zip(self._weights, self._moments, strict=True)
            if weight.grad is not None
        ]
        adam(
            [weight for weight, _, _ in moved],
            [gradient for _, gradient, _ in moved],
            [moments[_MEAN] for _, _, moments in moved],
            [moments[_SQUARE] for _, _, moments in moved],
            [],
            [moments[_STEP] for _, _, moments in moved],
            fused=True,
            amsgrad=False,
            beta1=BETAS[0],
            beta2=BETAS[1],
            lr=self.learning_rate,
            weight_decay=0.0,
            eps=EPSILON,
            maximize=False,
        )

    @torch.no_grad()
    def forget_moments(self, weights: Iterable[nn.Parameter]) -> None:
        """These weights have taken no step."""
        meant = {id(weight) for weight in weights}
        for weight, moments in zip(self._weights, self._moments, strict=True):
            if id(weight) in meant:
                for tensor in moments.values():
                    tensor.zero_()

    def tensors(self) -> dict[str, Tensor]:
        """What going on needs, by the place of a weight and the name of what is kept of it."""
        return {
            f"{place}.{name}": tensor
            for place, moments in enumerate(self._moments)
            for name, tensor in moments.items()
        }

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from there; a weight that is not named has taken no step. Raises RuntimeError for another shape."""
        for name, tensor in self.tensors().items():
            if name in tensors:
                tensor.copy_(tensors[name].view_as(tensor))
            else:
                tensor.zero_()
