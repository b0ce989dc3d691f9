"""Losses of pairs without a reference policy, and of scores: ORPO, CPO, SimPO, AlphaPO, Bradley-Terry.

Sources: ORPO (arXiv 2403.07691), CPO (2401.08417), SimPO (2405.14734), AlphaPO (2501.03884). P pairs. The
tests hold each against what TRL 1.16 computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch.nn.functional import logsigmoid, relu

if TYPE_CHECKING:
    from torch import Tensor

_MOST = -1e-7
"""A log-probability per token above this would make the odds infinite."""


def odds_ratio_loss(chosen_P: Tensor, rejected_P: Tensor, beta: float) -> Tensor:
    """(P,) -beta log sigmoid of the log odds ratio, from mean log-probabilities per token. ORPO adds it to its
    cross-entropy."""
    odds_P = chosen_P - rejected_P - (_log_rest(chosen_P) - _log_rest(rejected_P))
    return -beta * logsigmoid(odds_P)


def reference_free_loss(
    chosen_P: Tensor,
    rejected_P: Tensor,
    kind: Literal["sigmoid", "hinge", "ipo", "simpo"],
    *,
    beta: float,
    margin: float = 0.0,
    alpha: float = 0.0,
) -> Tensor:
    """(P,) CPO's losses; simpo takes mean log-probabilities per token and asks for a `margin`.

    With `alpha` a log-probability counts as (1 - p^-alpha) / alpha (AlphaPO).
    """
    apart_P = _shaped(chosen_P, alpha) - _shaped(rejected_P, alpha)
    match kind:
        case "sigmoid":
            return -logsigmoid(beta * apart_P)
        case "simpo":
            return -logsigmoid(beta * (apart_P - margin / beta))
        case "hinge":
            return relu(1.0 - beta * apart_P)
        case "ipo":
            return (apart_P - 0.5 / beta) ** 2


def bradley_terry_loss(
    chosen_P: Tensor, rejected_P: Tensor, *, margin_P: Tensor | None = None, centring: float = 0.0
) -> Tensor:
    """The loss of scores that should rank `chosen` above `rejected`, by a margin where one is given.

    `centring` weighs the squared sum of the two scores, which keeps them around zero.
    """
    apart_P = chosen_P - rejected_P if margin_P is None else chosen_P - rejected_P - margin_P
    return -logsigmoid(apart_P).mean() + centring * ((chosen_P + rejected_P) ** 2).mean()


def _log_rest(logps_P: Tensor) -> Tensor:
    """log(1 - p)."""
    return torch.log1p(-logps_P.clamp(max=_MOST).exp())


def _shaped(logps_P: Tensor, alpha: float) -> Tensor:
    return (1.0 - (-alpha * logps_P).exp()) / alpha if alpha else logps_P
