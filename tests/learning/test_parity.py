"""Losses and advantages equal those of TRL 1.16, gradients included."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest
import torch

from altlas_agent.learning.algorithms.advantages import (
    decoupled,
    group_relative,
    leave_one_out,
    normalized,
)
from altlas_agent.learning.loss.aggregate import Totals, aggregate
from altlas_agent.learning.loss.policy import Sampled, token_losses
from altlas_agent.learning.loss.preference import Preference, Sums, pair_weights, preference_losses, sums_of
from altlas_agent.learning.loss.ranking import bradley_terry_loss, odds_ratio_loss, reference_free_loss
from altlas_agent.learning.loss.ratios import k3
from altlas_agent.learning.loss.surrogate import Aggregation, Kind, Surrogate

DATA = Path(__file__).parents[1] / "data" / "trl"

Case = dict[str, Any]


def cases(name: str) -> list[Case]:
    return cast("list[Case]", json.loads((DATA / f"{name}.json").read_text("utf-8")))


def tensor(case: Case, name: str) -> torch.Tensor | None:
    found = case.get(name)
    return None if found is None else torch.tensor(found, dtype=torch.float64)


def given(case: Case, name: str) -> torch.Tensor:
    found = tensor(case, name)
    assert found is not None
    return found


def label(case: Case) -> str:
    params = case.get("params", case)
    return "-".join(f"{key}={value}" for key, value in params.items() if not isinstance(value, list))[:120]


def holds(case: Case, loss: torch.Tensor, logps: torch.Tensor, *, within: float = 1e-9) -> None:
    (gradient,) = torch.autograd.grad(loss, logps)
    assert float(loss.detach()) == pytest.approx(case["loss"], abs=within)
    assert torch.allclose(gradient, given(case, "grad_logps"), atol=within, rtol=0)


GRPO = cases("grpo_loss")


def surrogate(params: dict[str, Any]) -> Surrogate:
    kind = params["loss_type"]
    kinds: dict[str, tuple[Kind, Aggregation]] = {
        "sapo": ("sapo", "grpo"),
        "cispo": ("cispo", "dapo"),
        "vespo": ("vespo", "dapo"),
        "luspo": ("clip", "sum"),
    }
    found = kinds.get(kind, ("clip", kind))
    return Surrogate(
        kind=found[0],
        aggregation=found[1],
        level=params["importance_sampling_level"],
        clip_low=params["epsilon_low"],
        clip_high=params["epsilon_high"],
        ratio_cap=params["epsilon_high"] if kind == "cispo" else params.get("delta", 0.0),
        top_entropy=params.get("top_entropy_quantile", 1.0),
        off_policy_limit=params.get("off_policy_mask_threshold", 0.0),
    )


@pytest.mark.parametrize("case", GRPO, ids=map(label, GRPO))
def test_the_policy_loss_and_its_gradient_equal_those_of_grpo_trainer(case: Case) -> None:
    params = case["params"]
    switches = surrogate(params)
    logps = given(case, "logps").requires_grad_()
    mask, advantages = given(case, "mask"), given(case, "advantages")
    tools = tensor(case, "tool_mask")
    mask = mask if tools is None else mask * tools
    old = tensor(case, "old_logps")
    sampled = Sampled(
        logps_NT=logps,
        old_logps_NT=logps.detach() if old is None else old,
        advantages=advantages.unsqueeze(1) if advantages.dim() == 1 else advantages,
        mask_NT=mask,
        entropies_NT=tensor(case, "entropies"),
        correction_NT=tensor(case, "importance_sampling_ratio"),
        sampling_logps_NT=tensor(case, "sampling_logps"),
    )
    samples = float(len(mask))
    tokens = float(mask.sum())
    totals = Totals(samples, max(tokens, 1.0), samples * params["max_completion_length"])
    losses = token_losses(sampled, switches)
    loss = aggregate(losses.values, mask, switches.aggregation, totals)
    if params["beta"]:
        divergence = k3(logps, given(case, "ref_logps"))
        divergence = divergence * losses.ratios if params.get("use_bias_correction_kl") else divergence
        loss = loss + params["beta"] * aggregate(divergence, mask, switches.aggregation, totals)
    if params.get("entropy_coef"):
        loss = loss - params["entropy_coef"] * (given(case, "entropies") * mask).sum() / mask.sum()
    if params["loss_type"] not in {"dapo", "cispo", "vespo"} and params.get("training", True):
        loss = loss / params.get("gradient_accumulation_steps", 1)
    elif "steps_per_generation" in params:  # the denominator is that of all steps of one accumulation
        loss = loss * params["steps_per_generation"] / params["gradient_accumulation_steps"]
    holds(case, loss, logps)


RLOO = cases("rloo_loss")


@pytest.mark.parametrize("case", RLOO)
def test_the_loss_of_summed_ratios_equals_that_of_rloo_trainer(case: Case) -> None:
    logps, mask = given(case, "logps").requires_grad_(), given(case, "mask")
    old = torch.zeros_like(mask)
    old[:, 0] = given(case, "old_logps_sum")  # only the sum counts, and every sample has a first token
    sampled = Sampled(logps, old, given(case, "advantages").unsqueeze(1), mask)
    losses = token_losses(sampled, Surrogate(level="sum")).values
    holds(case, aggregate(losses, mask, "grpo", Totals(len(mask), 1.0, 1.0)), logps)


DPO = cases("dpo_loss")


@pytest.mark.parametrize("case", DPO, ids=map(label, DPO))
def test_preference_losses_equal_those_of_dpo_trainer(case: Case) -> None:
    params = case["params"]
    logps, mask = given(case, "logps").requires_grad_(), given(case, "mask")
    pairs = len(mask) // 2
    masks = (mask[:pairs], mask[pairs:])
    beyond = params.get("ld_alpha", 1.0)
    own = sums_of((logps[:pairs], logps[pairs:]), masks, beyond=beyond)
    reference = given(case, "ref_logps")
    references = sums_of((reference[:pairs], reference[pairs:]), masks, beyond=beyond)
    options = Preference(
        beta=params["beta"],
        smoothing=params.get("label_smoothing", 0.0),
        divergence=params.get("f_divergence", "reverse_kl"),
        alpha=params.get("alpha_coef", 0.5),
    )
    sums = Sums(own[0], own[1], references[0], references[1], masks[0].sum(1), masks[1].sum(1))
    weights = torch.ones(pairs, dtype=torch.float64)
    if params.get("use_weighting"):
        both = pair_weights(logps, given(case, "log_sum_sq_probs"), mask)
        weights = (both[:pairs] * both[pairs:]).clamp(max=1.0)
    kinds = params["loss_types"]
    shares = params.get("loss_weights", [1.0] * len(kinds))
    loss = torch.zeros((), dtype=torch.float64)
    for kind, share in zip(kinds, shares, strict=True):
        loss = loss + share * (preference_losses(sums, kind, options) * weights).mean()
    holds(case, loss, logps, within=1e-5 if case["float32"] else 1e-9 if "exo_pair" not in kinds else 1e-7)


OTHERS = cases("other_losses")


@pytest.mark.parametrize("case", OTHERS, ids=[case["algo"] for case in OTHERS])
def test_ranking_losses_equal_those_of_the_trainers_without_a_reference(case: Case) -> None:
    chosen, rejected = given(case, "chosen").requires_grad_(), given(case, "rejected").requires_grad_()
    if case["algo"] == "reward_bradley_terry":
        centring = case.get("center_rewards_coefficient", 0.0)
        loss = bradley_terry_loss(chosen, rejected, margin_P=tensor(case, "margin"), centring=centring)
        gradients = torch.cat(torch.autograd.grad(loss, (chosen, rejected)))
        assert float(loss.detach()) == pytest.approx(case["loss"], abs=1e-9)
        assert torch.allclose(gradients, given(case, "grad_scores"), atol=1e-9, rtol=0)
    elif case["algo"] == "orpo_odds_ratio":
        values = -odds_ratio_loss(chosen, rejected, case["beta"])
        assert torch.allclose(values, given(case, "values"), atol=1e-6, rtol=0)  # TRL has float32 here
    else:
        kind = case["algo"].removeprefix("cpo_")
        margin, alpha = float(case["simpo_gamma"]), case["alpha"]
        values = reference_free_loss(chosen, rejected, kind, beta=case["beta"], margin=margin, alpha=alpha)
        assert torch.allclose(values, given(case, "values"), atol=1e-9, rtol=0)


ADVANTAGES = cases("advantages")


def split(scores: list[Any], size: int) -> list[list[Any]]:
    return [scores[first : first + size] for first in range(0, len(scores), size)]


def placed(groups: list[list[Any]], made: list[list[float]]) -> list[float]:
    """One number for each score, 0 for a missing one."""
    found: list[float] = []
    for group, own in zip(groups, made, strict=True):
        left = iter(own)
        found += [0.0 if score is None else next(left, 0.0) for score in group]
    return found


def present(groups: list[list[Any]]) -> list[list[Any]]:
    return [[score for score in group if score is not None] for group in groups]


@pytest.mark.parametrize("case", [c for c in ADVANTAGES if c["algo"] == "rloo"])
def test_leave_one_out_advantages_equal_those_of_rloo_trainer(case: Case) -> None:
    groups = split(case["rewards"], case["num_generations"])
    made = leave_one_out(present(groups))
    made = normalized(made, 1e-4) if case["normalize_advantages"] else made
    assert placed(groups, made) == pytest.approx(case["advantages"], abs=1e-6)


@pytest.mark.parametrize("case", [c for c in ADVANTAGES if c["algo"] == "grpo"])
def test_group_relative_advantages_equal_those_of_grpo_trainer(case: Case) -> None:
    weights, size = case["reward_weights"], case["num_generations"]
    rows = [None if set(row) == {None} else row for row in case["rewards_per_func"]]
    groups = split(rows, size)
    if case["multi_objective_aggregation"] == "normalize_then_sum":
        kept = present(groups)
        kinds = [[[row[k] for row in group] for group in kept] for k in range(len(weights))]
        made = decoupled(kinds, weights, 1e-4)
    else:
        sums = [
            [sum(w * (score or 0.0) for w, score in zip(weights, row, strict=True)) for row in group]
            for group in present(groups)
        ]
        made = group_relative(sums, case["scale_rewards"], 1e-4)
    assert placed(groups, made) == pytest.approx(case["advantages"], abs=1e-6)
