"""Where tensors and plain values meet: the few conversions that torch leaves untyped."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor


def from_array(array: NDArray[np.generic]) -> Tensor:
    """A tensor over the same memory."""
    return torch.from_numpy(array)  # pyright: ignore[reportUnknownMemberType] - torch leaves it untyped


def as_integers(tensor: Tensor) -> list[int]:
    """The values of a one-dimensional tensor of whole numbers."""
    return cast("list[int]", tensor.tolist())  # pyright: ignore[reportUnknownMemberType] - as above


def as_floats(tensor: Tensor) -> list[float]:
    """The values of a one-dimensional tensor of floats."""
    return cast("list[float]", tensor.tolist())  # pyright: ignore[reportUnknownMemberType] - as above
