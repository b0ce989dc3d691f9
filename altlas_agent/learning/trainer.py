"""One optimiser step over samples; knows no algorithm by name, it adds up `rl` and `ce` terms.

A step is taken whole or not at all: where loss or gradient is not finite, or memory runs out, the weights stay
as they were. For want of memory the samples are gone through in parts, with the same gradient but for rounding.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from altlas_agent.core.errors import PolicyError
from altlas_agent.learning.adam import Adam
from altlas_agent.learning.losses import clipped_policy_gradient, entropy, per_sample_sum
from altlas_agent.learning.memory import is_want_of_memory, no_memory
from altlas_agent.learning.samples import Batch, collate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from altlas_agent.core.records import Sample
    from altlas_agent.policies.base import Policy
    from altlas_agent.settings.run import Settings

RATIO_CLIP = 0.2
MOST_PARTS = 8
"""Samples are halved three times at most."""


class Step(NamedTuple):
    """What a learning step did: its figures, or why the weights are as before."""

    metrics: dict[str, float]
    skipped: str = ""


class _Totals(NamedTuple):
    """What the sums over all samples are divided by, whatever the parts."""

    rl: Tensor
    ce: Tensor
    tokens: Tensor


class Trainer:
    """Owns the optimiser of one policy. `parts` is in how many pieces it goes through the samples of a step."""

    def __init__(self, policy: Policy, settings: Settings) -> None:
        self._policy = policy
        self._settings = settings
        self._rate_share = 1.0
        self.parts = 1
        self.optimiser = Adam(policy.parameters(), settings.learning.learning_rate)

    def steer(self, settings: Settings) -> None:
        """Take the next steps under these settings."""
        self._settings = settings
        self.lower_rate(self._rate_share)

    def lower_rate(self, share: float) -> None:
        """Learn at this share of the rate that the settings name."""
        self._rate_share = share
        self.optimiser.learning_rate = self._settings.learning.learning_rate * share

    def step(self, samples: Sequence[Sample]) -> Step:
        """Take one step and report its figures; none when there is nothing to learn from.

        Raises PolicyError when there is not even memory for an eighth of the samples.
        """
        if not samples:
            return Step({})
        figures = self._gradients(samples)
        norm = torch.nn.utils.clip_grad_norm_(
            self._policy.parameters(), self._settings.learning.clip_norm
        ).item()
        if not math.isfinite(figures["loss"]) or not math.isfinite(norm):
            self.optimiser.forget_gradients()
            return Step({}, skipped=f"loss {figures['loss']:g}, gradient norm {norm:g}")
        self.optimiser.step()
        split = {"parts": float(self.parts)} if self.parts > 1 else {}
        return Step({**figures, "gradient_norm": norm, "samples": float(len(samples)), **split})

    def log_probabilities(self, batch: Batch) -> Tensor:
        """(N, T, V) under the very distribution that the sampler draws on-policy attempts from."""
        logits_NTV = self._policy.sequence(batch.prompts, batch.previous_NT, batch.holes_NT)
        boosted_NTV = logits_NTV / self._settings.generation.temperature + batch.bias_NTV
        return boosted_NTV.log_softmax(-1)

    def _gradients(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Leave the gradient of the loss in the weights; gives the terms of the loss."""
        while True:
            self.optimiser.forget_gradients()
            try:
                return self._gathered(samples)
            except (MemoryError, RuntimeError) as error:
                if not is_want_of_memory(error):
                    raise
            self.optimiser.forget_gradients()
            if self.parts >= MOST_PARTS:
                raise PolicyError(
                    no_memory(f"to learn from {len(samples)} samples, not even in {self.parts} parts")
                )
            self.parts *= 2

    def _gathered(self, samples: Sequence[Sample]) -> dict[str, float]:
        totals = _totals(samples)
        gathered: dict[str, float] = {}
        for part in _parts(samples, self.parts):
            batch = collate(part, self._settings.policy.buckets, self._settings.generation)
            loss, figures = self._loss(batch, totals)
            torch.autograd.backward(loss)
            for name, value in {**figures, "loss": loss.item()}.items():
                gathered[name] = gathered.get(name, 0.0) + value
        return gathered

    def _loss(self, batch: Batch, totals: _Totals) -> tuple[Tensor, dict[str, float]]:
        """The part of the loss that these samples make up, and its terms."""
        learning = self._settings.learning
        log_probabilities_NTV = self.log_probabilities(batch)
        logps_NT = log_probabilities_NTV.gather(2, batch.tokens_NT.unsqueeze(2)).squeeze(2)
        rl_NT = clipped_policy_gradient(logps_NT, batch.old_logps_NT, batch.rl_NT, clip=RATIO_CLIP)
        is_rl_N = (batch.rl_NT != 0).any(1).float()
        is_ce_N = (batch.ce_NT != 0).any(1).float()
        rl = (per_sample_sum(rl_NT, batch.mask_NT) * is_rl_N).sum() / totals.rl
        ce = (per_sample_sum(-logps_NT * batch.ce_NT, batch.mask_NT) * is_ce_N).sum() / totals.ce
        spread = (entropy(log_probabilities_NTV) * batch.mask_NT).sum() / totals.tokens
        loss = rl + learning.replay_weight * ce - learning.entropy_coef * spread
        return loss, {"rl": rl.item(), "ce": ce.item(), "entropy": spread.item()}


def _totals(samples: Sequence[Sample]) -> _Totals:
    counts = (
        sum(any(sample.rl) for sample in samples),
        sum(any(sample.ce) for sample in samples),
        sum(len(sample.tokens) for sample in samples),
    )
    return _Totals(*(torch.tensor(float(max(count, 1))) for count in counts))


def _parts(samples: Sequence[Sample], count: int) -> Iterator[Sequence[Sample]]:
    size = math.ceil(len(samples) / count)
    for first in range(0, len(samples), size):
        yield samples[first : first + size]
