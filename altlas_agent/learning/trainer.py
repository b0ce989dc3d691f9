"""One optimiser step over samples; knows no algorithm by name, it adds up `rl` and `ce` terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from altlas_agent.core.errors import PolicyError
from altlas_agent.learning.adam import Adam
from altlas_agent.learning.losses import clipped_policy_gradient, entropy, masked_mean, per_sample_sum
from altlas_agent.learning.samples import Batch, collate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from altlas_agent.core.records import Sample
    from altlas_agent.policies.base import Policy
    from altlas_agent.settings.run import Settings

RATIO_CLIP = 0.2


class Trainer:
    """Owns the optimiser of one policy."""

    def __init__(self, policy: Policy, settings: Settings) -> None:
        self._policy = policy
        self._settings = settings
        self.optimiser = Adam(policy.parameters(), settings.learning.learning_rate)

    def steer(self, settings: Settings) -> None:
        """Take the next steps under these settings."""
        self._settings = settings
        self.optimiser.learning_rate = settings.learning.learning_rate

    def step(self, samples: Sequence[Sample]) -> dict[str, float]:
        """Take one step and report its figures; {} when there is nothing to learn from.

        Raises PolicyError when loss or gradient is not finite; the weights are then as before.
        """
        if not samples:
            return {}
        batch = collate(samples, self._settings.policy.buckets, self._settings.generation)
        log_probabilities_NTV = self.log_probabilities(batch)
        loss, metrics = self._loss(batch, log_probabilities_NTV)
        self.optimiser.forget_gradients()
        torch.autograd.backward(loss)
        norm = torch.nn.utils.clip_grad_norm_(self._policy.parameters(), self._settings.learning.clip_norm)
        if not torch.isfinite(loss) or not torch.isfinite(norm):
            self.optimiser.forget_gradients()
            raise PolicyError(f"learning step skipped: loss {loss.item()}, gradient norm {norm.item()}")
        self.optimiser.step()
        return {**metrics, "loss": loss.item(), "gradient_norm": norm.item(), "samples": float(len(samples))}

    def log_probabilities(self, batch: Batch) -> Tensor:
        """(N, T, V) under the very distribution that the sampler draws on-policy attempts from."""
        logits_NTV = self._policy.sequence(batch.prompts, batch.previous_NT, batch.holes_NT)
        boosted_NTV = logits_NTV / self._settings.generation.temperature + batch.bias_NTV
        return boosted_NTV.log_softmax(-1)

    def _loss(self, batch: Batch, log_probabilities_NTV: Tensor) -> tuple[Tensor, dict[str, float]]:
        learning = self._settings.learning
        logps_NT = log_probabilities_NTV.gather(2, batch.tokens_NT.unsqueeze(2)).squeeze(2)
        rl_NT = clipped_policy_gradient(logps_NT, batch.old_logps_NT, batch.rl_NT, clip=RATIO_CLIP)
        is_rl_N = (batch.rl_NT != 0).any(1).float()
        is_ce_N = (batch.ce_NT != 0).any(1).float()
        rl = (per_sample_sum(rl_NT, batch.mask_NT) * is_rl_N).sum() / is_rl_N.sum().clamp(min=1.0)
        ce = (per_sample_sum(-logps_NT * batch.ce_NT, batch.mask_NT) * is_ce_N).sum() / is_ce_N.sum().clamp(
            min=1.0
        )
        spread = masked_mean(entropy(log_probabilities_NTV), batch.mask_NT)
        loss = rl + learning.replay_weight * ce - learning.entropy_coef * spread
        return loss, {"rl": rl.item(), "ce": ce.item(), "entropy": spread.item()}
