"""The policy loss and its parts against numbers that can be checked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from altlas_agent.learning.loss.aggregate import Totals, aggregate
from altlas_agent.learning.loss.entropy import clip_cov, covariances, entropy, kl_cov, least_decided
from altlas_agent.learning.loss.policy import Sampled, token_losses
from altlas_agent.learning.loss.preference import Preference, Sums, preference_losses
from altlas_agent.learning.loss.ratios import importance_ratio, k3
from altlas_agent.learning.loss.surrogate import Aggregation, Surrogate
from altlas_agent.learning.loss.terms import remedied
from altlas_agent.settings.learners.control import EntropySettings

ONE = torch.ones(1, 1)


def totals_of(mask: torch.Tensor, longest: int) -> Totals:
    return Totals(float(len(mask)), float(mask.sum()), float(len(mask) * longest))


def loss_of(ratio: float, advantage: float, surrogate: Surrogate) -> float:
    """Of a sample of one token."""
    sampled = Sampled(torch.tensor([[math.log(ratio)]]), torch.zeros(1, 1), torch.tensor([[advantage]]), ONE)
    return float(token_losses(sampled, surrogate).values)


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss"), [(1.5, 1.0, -1.2), (1.5, -1.0, 1.5), (0.5, -1.0, 0.8), (0.5, 1.0, -0.5)]
)
def test_the_clipped_surrogate_equals_the_published_numbers(
    ratio: float, advantage: float, loss: float
) -> None:
    assert loss_of(ratio, advantage, Surrogate()) == pytest.approx(loss, abs=1e-6)


def test_clip_higher_lets_likelier_tokens_go_further() -> None:
    assert loss_of(1.5, 1.0, Surrogate(clip_high=0.28)) == pytest.approx(-1.28, abs=1e-6)


def test_a_cap_bounds_what_a_bad_token_can_cost() -> None:
    assert loss_of(9.0, -1.0, Surrogate()) == pytest.approx(9.0, rel=1e-6)
    assert loss_of(9.0, -1.0, Surrogate(ratio_cap=3.0)) == pytest.approx(3.0, rel=1e-6)


def test_a_ratio_of_a_sequence_is_that_of_its_mean_and_a_sum_that_of_its_sum() -> None:
    differences, mask = torch.tensor([[0.2, -0.1, 0.2]]), torch.ones(1, 3)
    assert float(importance_ratio(differences, mask, "sequence")) == pytest.approx(1.10517, abs=1e-5)
    assert float(importance_ratio(differences, mask, "sum")) == pytest.approx(math.exp(0.3), abs=1e-5)


def test_a_ratio_of_gspo_is_clipped_at_its_tiny_bound() -> None:
    sampled = Sampled(torch.tensor([[0.2, -0.1, 0.2]]), torch.zeros(1, 3), ONE, torch.ones(1, 3))
    made = token_losses(sampled, Surrogate(level="sequence", clip_low=3e-4, clip_high=4e-4))
    assert float(made.values) == pytest.approx(-1.0004, abs=1e-6)
    assert bool(made.clipped.all())


def test_a_log_ratio_that_would_overflow_gives_a_finite_loss_and_gradient() -> None:
    logps = torch.tensor([[0.0, 500.0]], requires_grad=True)
    sampled = Sampled(logps, torch.zeros(1, 2), torch.ones(1, 1), torch.tensor([[1.0, 0.0]]))
    loss = aggregate(token_losses(sampled, Surrogate()).values, sampled.mask_NT, "sum", Totals(1.0, 1.0, 1.0))
    (gradient,) = torch.autograd.grad(loss, logps)
    assert gradient.tolist() == [[-1.0, 0.0]]


def test_the_divergence_from_a_reference_is_the_published_number_and_zero_at_the_reference() -> None:
    assert float(k3(torch.zeros(1, 1), torch.tensor([[math.log(2)]]))) == pytest.approx(0.30685, abs=1e-5)
    assert float(k3(ONE, ONE)) == 0.0


@pytest.mark.parametrize(
    ("aggregation", "value"), [("grpo", 0.0), ("bnpo", 0.5), ("dapo", 0.5), ("dr_grpo", 0.25), ("sum", 1.0)]
)
def test_aggregations_equal_the_published_numbers(aggregation: Aggregation, value: float) -> None:
    losses = torch.tensor([[-1.0, 9.0, 9.0, 9.0], [1.0, 1.0, 1.0, 9.0]])
    mask = torch.tensor([[1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 0.0]])
    assert float(aggregate(losses, mask, aggregation, totals_of(mask, longest=4))) == pytest.approx(value)


def test_a_step_in_two_parts_adds_up_to_the_whole() -> None:
    losses, mask = torch.rand(4, 3), torch.tensor([[1.0, 1.0, 0.0]] * 4)
    kinds: tuple[Aggregation, ...] = ("sum", "grpo", "bnpo", "dapo", "dr_grpo")
    for kind in kinds:
        totals = totals_of(mask, longest=3)
        parts = [aggregate(losses[rows], mask[rows], kind, totals) for rows in ([0], [1, 2, 3])]
        assert float(sum(parts)) == pytest.approx(float(aggregate(losses, mask, kind, totals)))


def test_the_entropy_of_a_uniform_choice_is_its_logarithm_and_masked_tokens_add_nothing() -> None:
    logits = torch.tensor([[[0.0, 0.0, 0.0, 0.0, -1e9]]])
    assert float(entropy(logits.log_softmax(-1))) == pytest.approx(math.log(4), abs=1e-6)


def test_the_least_decided_tokens_are_those_with_the_most_entropy() -> None:
    entropies = torch.tensor([[0.1, 0.9, 0.5, 0.2, 7.0]])
    mask = torch.tensor([[1.0, 1.0, 1.0, 1.0, 0.0]])
    assert least_decided(entropies, mask, 0.5).tolist() == [[0.0, 1.0, 1.0, 0.0, 0.0]]
    assert least_decided(entropies, torch.zeros(1, 5), 0.5).sum() == 0


def test_covariances_equal_the_published_numbers() -> None:
    logps, advantages = torch.tensor([[-0.1, -3.1, 5.0]]), torch.tensor([[1.0, -1.0, 9.0]])
    made = covariances(logps, advantages, torch.tensor([[1.0, 1.0, 0.0]]))
    assert made.tolist()[0] == pytest.approx([1.5, 1.5, -math.inf])


def test_clip_cov_leaves_out_few_tokens_that_are_eligible_and_not_clipped_already() -> None:
    made = torch.tensor([[1.5, 1.5, 0.5, 9.0, -math.inf]])
    free = torch.tensor([[False, True, True, True, True]])
    assert clip_cov(made, free, 2e-4, torch.Generator()).tolist() == [[1.0, 0.0, 1.0, 1.0, 1.0]]


def test_kl_cov_takes_the_tokens_with_the_largest_covariance() -> None:
    made = torch.tensor([[1.5, 0.5, 9.0, -math.inf]])
    assert kl_cov(made, 2e-4).tolist() == [[0.0, 0.0, 1.0, 0.0]]
    assert kl_cov(torch.full((1, 2), -math.inf), 0.5).sum() == 0


STALE = Sampled(
    torch.log(torch.tensor([[1.1, 0.9]])) - torch.tensor([[0.1, 3.1]]),
    -torch.tensor([[0.1, 3.1]]),
    torch.tensor([[1.0, -1.0]]),
    torch.ones(1, 2),
)
"""Two tokens whose log-probability goes with their advantage, after a step away from the policy that sampled."""


def test_clip_cov_takes_one_token_out_of_the_loss() -> None:
    losses = token_losses(STALE, Surrogate())
    made = remedied(STALE, losses, EntropySettings(remedy="clip_cov"), torch.Generator().manual_seed(0))
    assert sorted((made == 0).tolist()[0]) == [False, True]


def test_kl_cov_holds_one_token_to_the_policy_that_sampled() -> None:
    losses = token_losses(STALE, Surrogate())
    made = remedied(STALE, losses, EntropySettings(remedy="kl_cov", kl_weight=2.0), torch.Generator())
    added = sorted((made - losses.values)[0].abs().tolist())
    distances = (STALE.logps_NT - STALE.old_logps_NT)[0].abs()
    assert added[0] == 0.0
    assert min(abs(added[1] - 2.0 * float(each)) for each in distances) < 1e-6


def test_without_a_remedy_the_losses_stay() -> None:
    losses = token_losses(STALE, Surrogate())
    assert remedied(STALE, losses, EntropySettings(), torch.Generator()) is losses.values


def test_the_alpha_divergence_at_one_is_the_reverse_divergence() -> None:
    sums = Sums(*(torch.tensor([value]) for value in (-1.0, -3.0, -2.0, -2.0, 4.0, 4.0)))
    plain, alpha = Preference(), Preference(divergence="alpha_divergence", alpha=1.0)
    assert torch.equal(preference_losses(sums, "sigmoid", plain), preference_losses(sums, "sigmoid", alpha))
