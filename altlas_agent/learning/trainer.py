"""One optimiser step over samples; knows no algorithm by name, it adds up `rl`, `ce` and `ref_kl` terms.

A step is taken whole or not at all: where loss or gradient is not finite, or memory runs out, the weights stay
as they were. For want of memory the samples are gone through in parts, with the same gradient but for rounding.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch

from altlas_agent.core.clock import derive_seed
from altlas_agent.core.errors import PolicyError
from altlas_agent.generation.shaping.logits import shaped
from altlas_agent.learning.adam import Adam
from altlas_agent.learning.control.reference import Reference
from altlas_agent.learning.loss.entropy import entropy
from altlas_agent.learning.loss.policy import Sampled
from altlas_agent.learning.loss.terms import StepTotals, policy_term, reference_term, totals_of_step
from altlas_agent.learning.memory import is_want_of_memory, no_memory
from altlas_agent.learning.samples import Batch, collate
from altlas_agent.learning.schedules import Schedules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from altlas_agent.core.records import Sample
    from altlas_agent.learning.loss.surrogate import Surrogate
    from altlas_agent.policies.base import Policy
    from altlas_agent.settings.run import Settings

MOST_PARTS = 8
"""Samples are halved three times at most."""


class Step(NamedTuple):
    """What a learning step did: its figures, or why the weights are as before."""

    metrics: dict[str, float]
    skipped: str = ""


class Trainer:
    """Owns the optimiser of one policy, what regulates its steps, and the copy it is held close to.

    `surrogate` is the policy loss of the algorithm. `parts` is in how many pieces it goes through the samples of a
    step.
    """

    def __init__(self, policy: Policy, settings: Settings, surrogate: Surrogate) -> None:
        self._policy = policy
        self._settings = settings
        self._surrogate = surrogate._replace(top_entropy=settings.learning.entropy.top_share)
        self._rate_share = 1.0
        self.parts = 1
        self.optimiser = Adam(policy.parameters(), settings.learning.learning_rate)
        self.schedules = Schedules(settings.learning)
        self.reference = Reference(settings.learning.reference)

    def steer(self, settings: Settings) -> None:
        """Take the next steps under these settings."""
        self._settings = settings
        self.schedules.settings = settings.learning
        self.lower_rate(self._rate_share)

    def lower_rate(self, share: float) -> None:
        """Learn at this share of the rate that the settings name."""
        self._rate_share = share
        self._set_rate()

    def step(self, samples: Sequence[Sample]) -> Step:
        """Take one step and report its figures; none when there is nothing to learn from.

        Raises PolicyError when there is not even memory for an eighth of the samples.
        """
        if not samples:
            return Step({})
        odd = next((sample for sample in samples if not _is_finite(sample)), None)
        if odd is not None:
            return Step({}, skipped=f"a number in a sample of {odd.task.id} is not finite")
        self._set_rate()
        self.reference.follow(self._policy, self.schedules.state.steps)
        figures = self._gradients(samples)
        norm = self._clipped()
        if not math.isfinite(figures["loss"]) or not math.isfinite(norm):
            self.optimiser.forget_gradients()
            return Step({}, skipped=f"loss {figures['loss']:g}, gradient norm {norm:g}")
        self.optimiser.step()
        figures |= self.schedules.figures()
        self.schedules.stepped(figures["entropy"], norm)
        split = {"parts": float(self.parts)} if self.parts > 1 else {}
        return Step({**figures, "gradient_norm": norm, "samples": float(len(samples)), **split})

    def log_probabilities(self, batch: Batch, policy: Policy | None = None) -> Tensor:
        """(N, T, V) under the very distributions that the samples were drawn from.

        That of another policy where one is given.
        """
        network = self._policy if policy is None else policy
        logits_NTV = network.sequence(batch.prompts, batch.previous_NT, batch.holes_NT)
        return shaped(logits_NTV, batch.heat_N11, batch.bias_NTV).log_softmax(-1)

    def _set_rate(self) -> None:
        share = self._rate_share * self.schedules.rate_share()
        self.optimiser.learning_rate = self._settings.learning.learning_rate * share

    def _clipped(self) -> float:
        """Shorten the gradient to what the schedules allow; gives its length before."""
        weights = list(self._policy.parameters())
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        total = torch.nn.utils.get_total_norm(gradients)
        norm = total.item()
        torch.nn.utils.clip_grads_with_norm_(weights, self.schedules.norm_limit(norm), total)
        return norm

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
        totals = totals_of_step(samples, self._surrogate)
        gathered: dict[str, float] = {}
        for part in _parts(samples, self.parts):
            batch = collate(part, self._settings.policy.reading, self._settings.generation)
            loss, figures = self._loss(batch, totals)
            torch.autograd.backward(loss)
            for name, value in {**figures, "loss": loss.item()}.items():
                gathered[name] = gathered.get(name, 0.0) + value
        return gathered

    def _loss(self, batch: Batch, totals: StepTotals) -> tuple[Tensor, dict[str, float]]:
        """The part of the loss that these samples make up, and its terms."""
        learning = self._settings.learning
        log_probabilities_NTV = self.log_probabilities(batch)
        logps_NT = log_probabilities_NTV.gather(2, batch.tokens_NT.unsqueeze(2)).squeeze(2)
        entropies_NT = entropy(log_probabilities_NTV)
        is_rl_N1 = (batch.rl_NT != 0).any(1, keepdim=True).float()
        is_ce_N1 = (batch.ce_NT != 0).any(1, keepdim=True).float()
        sampled = Sampled(logps_NT, batch.old_logps_NT, batch.rl_NT, batch.mask_NT * is_rl_N1, entropies_NT)
        rl, losses = policy_term(
            sampled, self._surrogate, totals.rl, entropy=learning.entropy, chance=self._chance()
        )
        ce = (-logps_NT * batch.ce_NT * (batch.mask_NT * is_ce_N1)).sum(-1).sum() / totals.ce
        spread = (entropies_NT * batch.mask_NT).sum() / totals.tokens
        bonus = self.schedules.entropy_coefficient() * spread
        loss = learning.rl_weight * rl + learning.replay_weight * ce - bonus
        figures = {"rl": rl.item(), "ce": ce.item(), "entropy": spread.item()}
        if self.reference.policy is not None:
            ratios = losses.ratios if learning.reference.bias_correction else None
            held = reference_term(
                sampled, self._reference_logps(batch), self._surrogate, totals.rl, ratios=ratios
            )
            loss = loss + learning.reference.weight * held
            figures["ref_kl"] = held.item()
        return loss, figures

    @torch.no_grad()
    def _reference_logps(self, batch: Batch) -> Tensor:
        log_probabilities_NTV = self.log_probabilities(batch, self.reference.policy)
        return log_probabilities_NTV.gather(2, batch.tokens_NT.unsqueeze(2)).squeeze(2)

    def _chance(self) -> torch.Generator:
        """What is random in a step depends on the seed and the number of the step only."""
        seed = derive_seed(self._settings.run.seed, f"loss of step {self.schedules.state.steps}")
        return torch.Generator().manual_seed(seed)


def _is_finite(sample: Sample) -> bool:
    """Infinities are looked for, too: a clamped ratio would hide them."""
    return math.isfinite(sum(sample.logps) + sum(sample.rl) + sum(sample.ce))


def _parts(samples: Sequence[Sample], count: int) -> Iterator[Sequence[Sample]]:
    size = math.ceil(len(samples) / count)
    for first in range(0, len(samples), size):
        yield samples[first : first + size]
