"""Losses of pairs, a chosen and a rejected text, against a reference policy: DPO and its kin.

Sources: DPO (arXiv 2305.18290), IPO (2310.12036), EXO (2402.00856), NCA (2402.05369), robust DPO (2403.00409),
BCO (2404.04656), SPPO (2405.00675), AOT (2406.05882), APO (2408.06266), DiscoPOP (2406.08414), SimPO's length
normalisation (2405.14734). Shapes: P pairs, T tokens. The tests hold each against what TRL 1.16 computes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import torch
from torch.nn.functional import logsigmoid, relu

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Divergence = Literal["reverse_kl", "forward_kl", "js_divergence", "alpha_divergence"]

DISCOPOP_HEAT = 0.05
_ALPHA_CEILING = 80.0


class Sums(NamedTuple):
    """Log-probabilities of whole texts and their lengths in tokens, (P,) each."""

    chosen: Tensor
    rejected: Tensor
    chosen_reference: Tensor
    rejected_reference: Tensor
    chosen_length: Tensor
    rejected_length: Tensor


class Preference(NamedTuple):
    """How strongly the policy is held to its reference, and what of the pairs is believed.

    `smoothing` is the share of the pairs that are taken to be the wrong way round.
    """

    beta: float = 0.1
    smoothing: float = 0.0
    divergence: Divergence = "reverse_kl"
    alpha: float = 0.5


class _Pairs(NamedTuple):
    """`chosen` and `rejected` are scores: log-ratios as the divergence sees them; `log_*` the plain ones."""

    sums: Sums
    log_chosen: Tensor
    log_rejected: Tensor
    chosen: Tensor
    rejected: Tensor
    options: Preference

    @property
    def margin(self) -> Tensor:
        """By how much the policy prefers what was chosen, times beta."""
        return self.options.beta * (self.chosen - self.rejected)

    @property
    def mean_margin(self) -> Tensor:
        """The same of the scores per token, without beta."""
        return self.chosen / self.sums.chosen_length - self.rejected / self.sums.rejected_length


def sums_of(
    logps: tuple[Tensor, Tensor], masks: tuple[Tensor, Tensor], *, beyond: float = 1.0
) -> list[Tensor]:
    """(P,) for the chosen and the rejected text; `beyond` weighs the tokens past the end of the shorter one.

    With less than 1 a text is not preferred for its length (LD-DPO, arXiv 2409.06411).
    """
    shorter_P1 = torch.minimum(*(mask.sum(1, keepdim=True) for mask in masks))
    return [
        (each * mask * torch.where(mask.cumsum(1) <= shorter_P1, 1.0, beyond)).sum(1)
        for each, mask in zip(logps, masks, strict=True)
    ]


def preference_losses(sums: Sums, kind: str, options: Preference) -> Tensor:
    """(P,) the loss of each pair. Raises KeyError for a kind that is not in KINDS."""
    log_chosen = sums.chosen - sums.chosen_reference
    log_rejected = sums.rejected - sums.rejected_reference
    chosen, rejected = _score(log_chosen, options), _score(log_rejected, options)
    return KINDS[kind](_Pairs(sums, log_chosen, log_rejected, chosen, rejected, options))


def pair_weights(logps_PT: Tensor, log_squares_PT: Tensor, mask_PT: Tensor) -> Tensor:
    """(P,) how likely the policy itself would write a text, for weighing its pair (WPO, arXiv 2406.11827).

    `log_squares_PT` is the logarithm of the sum of the squared probabilities at each token.
    """
    surprise_PT = (logps_PT - log_squares_PT) * mask_PT
    return (surprise_PT.sum(1) / mask_PT.sum(1).clamp(min=1.0)).exp().detach()


def _score(log_ratios: Tensor, options: Preference) -> Tensor:
    match options.divergence:
        case "reverse_kl":
            return log_ratios
        case "forward_kl":
            return -(-log_ratios).exp()
        case "js_divergence":
            return logsigmoid(log_ratios)
        case "alpha_divergence":
            power = options.alpha - 1.0
            if not power:  # the limit, where the form below divides by zero
                return log_ratios
            return (power * log_ratios).clamp(max=_ALPHA_CEILING).exp() / power


def _smoothed(margin: Tensor, smoothing: float) -> Tensor:
    return -(1.0 - smoothing) * logsigmoid(margin) - smoothing * logsigmoid(-margin)


def _exo(pairs: _Pairs) -> Tensor:
    """Cross-entropy the other way round: from the policy's preference to the smoothed one."""
    smoothing = torch.tensor(pairs.options.smoothing, dtype=pairs.margin.dtype)
    right, wrong = logsigmoid(pairs.margin), logsigmoid(-pairs.margin)
    return right.exp() * (right - (1.0 - smoothing).log()) + wrong.exp() * (wrong - smoothing.log())


def _sppo(pairs: _Pairs) -> Tensor:
    goal = 0.5 / pairs.options.beta
    return (pairs.chosen - goal) ** 2 + (pairs.rejected + goal) ** 2


def _nca(pairs: _Pairs) -> Tensor:
    good, bad = pairs.options.beta * pairs.chosen, pairs.options.beta * pairs.rejected
    return -logsigmoid(good) - 0.5 * logsigmoid(-good) - 0.5 * logsigmoid(-bad)


def _bco(pairs: _Pairs) -> Tensor:
    beta = pairs.options.beta
    return -logsigmoid(beta * pairs.chosen) - logsigmoid(-beta * pairs.rejected)


def _aot(pairs: _Pairs) -> Tensor:
    """Distributions are compared, not pairs: both sides are sorted first."""
    sums = pairs.sums
    own = (sums.chosen - sums.rejected).sort().values
    reference = (sums.chosen_reference - sums.rejected_reference).sort().values
    return _smoothed(pairs.options.beta * (own - reference), pairs.options.smoothing)


def _aot_unpaired(pairs: _Pairs) -> Tensor:
    apart = pairs.log_chosen.sort().values - pairs.log_rejected.sort().values
    return _smoothed(pairs.options.beta * apart, pairs.options.smoothing)


def _apo_zero(pairs: _Pairs) -> Tensor:
    beta = pairs.options.beta
    return 1.0 - (beta * pairs.log_chosen).sigmoid() + (beta * pairs.log_rejected).sigmoid()


def _apo_down(pairs: _Pairs) -> Tensor:
    return (pairs.options.beta * pairs.log_chosen).sigmoid() + 1.0 - pairs.margin.sigmoid()


def _discopop(pairs: _Pairs) -> Tensor:
    share = (pairs.margin / DISCOPOP_HEAT).sigmoid()
    return -(1.0 - share) * logsigmoid(pairs.margin) + share * (-pairs.margin).exp()


def _sft(pairs: _Pairs) -> Tensor:
    """Plain likelihood of what was chosen, a mean over all its tokens, the same for every pair."""
    mean = -pairs.sums.chosen.sum() / pairs.sums.chosen_length.sum()
    return mean.expand_as(pairs.sums.chosen)


def _robust(margin: Tensor, smoothing: float) -> Tensor:
    """Unbiased under pairs that are the wrong way round with that chance."""
    flipped = smoothing * logsigmoid(-margin) - (1.0 - smoothing) * logsigmoid(margin)
    return flipped / (1.0 - 2.0 * smoothing)


KINDS: dict[str, Callable[[_Pairs], Tensor]] = {
    "sigmoid": lambda pairs: -logsigmoid(pairs.margin),
    "sigmoid_norm": lambda pairs: -logsigmoid(pairs.options.beta * pairs.mean_margin),
    "hinge": lambda pairs: relu(1.0 - pairs.margin),
    "ipo": lambda pairs: (pairs.mean_margin - 0.5 / pairs.options.beta) ** 2,
    "robust": lambda pairs: _robust(pairs.margin, pairs.options.smoothing),
    "exo_pair": _exo,
    "nca_pair": _nca,
    "bco_pair": _bco,
    "sppo_hard": _sppo,
    "aot": _aot,
    "aot_unpaired": _aot_unpaired,
    "apo_zero": _apo_zero,
    "apo_down": _apo_down,
    "discopop": _discopop,
    "sft": _sft,
}
