"""From token losses to one number. Shapes: N samples, T tokens.

| aggregation | value |
|---|---|
| sum | mean over the samples of the sum over their tokens (LUSPO, arXiv 2602.05261) |
| grpo | mean over the samples of the mean over their tokens |
| bnpo, dapo | sum over all tokens / their number |
| dr_grpo | sum over all tokens / (samples x the most that one may have) |

`Totals` are those of a whole step, so a step may be gone through in parts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.learning.loss.ratios import lengths

if TYPE_CHECKING:
    from torch import Tensor

    from altlas_agent.learning.loss.surrogate import Aggregation


class Totals(NamedTuple):
    """Over all samples of a step: how many, their tokens, and the tokens they might have had."""

    samples: float
    tokens: float
    budget: float


def aggregate(values: Tensor, mask_NT: Tensor, aggregation: Aggregation, totals: Totals) -> Tensor:
    """The part of the loss that these samples make up. `values` may be (N, 1): one for all tokens of a sample."""
    match aggregation:
        case "sum":
            return (values * mask_NT).sum(-1).sum() / totals.samples
        case "grpo":
            return ((values * mask_NT).sum(-1, keepdim=True) / lengths(mask_NT)).sum() / totals.samples
        case "bnpo" | "dapo":
            return (values * mask_NT).sum() / totals.tokens
        case "dr_grpo":
            return (values * mask_NT).sum() / totals.budget
