"""What is done to logits, and which tokens are left out: the same functions for the sampler and for the learner.

    shaped = logits / temperature + (pushes + moving) / temperature + mask
    drawn from softmax(shaped), without what is cut

`pushes` stay the same for a whole program (boosts, imbalance), `moving` changes from token to token (repetition,
noise). None of it depends on the policy, so the learner makes it again for whole programs at once. What was cut
does depend on it: those sets are kept from the draw and not made again. With newer weights another set would come
of them, a token that was drawn could lie outside of it, and its log-probability would be minus infinity.

Shapes: V tokens last; before them the B programs of one step, or the T steps of one program.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from altlas_agent.core.records import Strategy


def shaped(logits: Tensor, heat: Tensor, bias: Tensor) -> Tensor:
    """The logits of the distribution. `bias` is heated already and has the mask in it."""
    return logits / heat + bias


def moving(
    counts: NDArray[np.float32] | None,
    noise: NDArray[np.float32] | None,
    repetition: NDArray[np.float32],
    spread: NDArray[np.float32],
) -> NDArray[np.float32]:
    """What is added before the temperature: noise of this spread, less the price of what was written before."""
    found = np.zeros(1, dtype=np.float32) if noise is None else spread * noise
    return found if counts is None else found - repetition * counts


class Cuts(NamedTuple):
    """(B, 1) each: how many tokens are kept at most, which mass, and what share of the likeliest one's chance."""

    top_k_B1: NDArray[np.int64]
    top_p_B1: NDArray[np.float32]
    min_p_B1: NDArray[np.float32]

    @classmethod
    def of(cls, strategies: Sequence[Strategy], width: int) -> Cuts:
        """What cuts nothing keeps all `width` tokens and more mass than there is."""
        top_k = [min(each.top_k or width, width) for each in strategies]
        top_p = [each.top_p if each.top_p < 1 else 2.0 for each in strategies]
        min_p = [each.min_p for each in strategies]
        return cls(
            np.array(top_k, dtype=np.int64)[:, None],
            np.array(top_p, dtype=np.float32)[:, None],
            np.array(min_p, dtype=np.float32)[:, None],
        )

    def rows(self, places: Sequence[int]) -> Cuts:
        """Those of some of the programs."""
        return Cuts(self.top_k_B1[places], self.top_p_B1[places], self.min_p_B1[places])


def kept(chances_BV: NDArray[np.float32], allowed_BV: NDArray[np.bool_], cuts: Cuts) -> NDArray[np.bool_]:
    """(B, V): the tokens that are drawn from. The likeliest is always one; what is as likely as the last one, too."""
    rising_BV = np.sort(chances_BV, axis=1)
    sums_BV = np.cumsum(rising_BV, axis=1)
    # The mass of what is likelier, by place: what has enough above it goes.
    dropped_B1 = (sums_BV[:, -1:] - sums_BV >= cuts.top_p_B1).sum(1, keepdims=True)
    first_B1 = np.maximum(dropped_B1, rising_BV.shape[1] - cuts.top_k_B1)
    least_B1 = np.maximum(np.take_along_axis(rising_BV, first_B1, 1), cuts.min_p_B1 * rising_BV[:, -1:])
    found: NDArray[np.bool_] = (chances_BV >= least_B1) & allowed_BV
    return found


def pack(kept_XV: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Sets as bits, in whole bytes for each."""
    return np.packbits(kept_XV, axis=-1)


@cache
def single(width: int) -> NDArray[np.uint8]:
    """(V, P): for each token the set that has nothing else, as bits."""
    return pack(np.eye(width, dtype=np.bool_))


def all_of(steps: int, width: int) -> bytes:
    """So many sets that leave nothing out."""
    return pack(np.ones(width, dtype=np.bool_)).tobytes() * steps


def unpack(data: bytes, width: int) -> NDArray[np.bool_]:
    """(T, V) sets of a program, of `width` tokens each."""
    packed = np.frombuffer(data, dtype=np.uint8).reshape(-1, -(-width // 8))
    return np.unpackbits(packed, axis=-1, count=width).astype(np.bool_)
