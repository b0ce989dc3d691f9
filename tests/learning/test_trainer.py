"""Steps of learning with the parts that settings turn on: each learns, is noted, and goes on after a restart."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import torch

from altlas_agent.core.records import (
    Fault,
    Group,
    GroupPlan,
    Judged,
    Outcome,
    Sample,
    Score,
    Status,
    ToolFeedback,
)
from altlas_agent.core.requests import CheckpointFile, Generate, Generated, Learn, Save
from altlas_agent.learning.student import Student
from altlas_agent.settings.run import Settings
from tests.learning.test_student import SETTINGS, SUM, TASK, generate, learn

if TYPE_CHECKING:
    from pathlib import Path

ALGORITHMS: list[dict[str, Any]] = [
    {"type": "grpo", "scale_rewards": "none", "aggregation": "dr_grpo"},
    {"type": "grpo", "scale_rewards": "batch", "loss": "cispo", "ratio_cap": 5.0, "aggregation": "dapo"},
    {"type": "grpo", "loss": "sapo", "aggregation": "bnpo", "off_policy_limit": 0.1},
    {"type": "grpo", "loss": "vespo", "aggregation": "dapo"},
    {"type": "dapo", "overlong_price": 0.1},
    {"type": "gspo"},
    {"type": "rloo", "normalize": True},
    {"type": "reinforce"},
    {"type": "reinforce_pp"},
    {"type": "reinforce_pp", "group_baseline": True},
]

EVERYTHING: dict[str, Any] = {
    "algorithm": {"type": "reinforce"},
    "entropy": {"control": "target", "remedy": "clip_cov", "top_share": 0.8},
    "pace": {"by_score": True, "patience_steps": 2, "fault_boost": 0.5},
    "zclip": {"enabled": True, "warmup_steps": 2},
    "reference": {"weight": 0.05, "refresh_versions": 3},
    "credit": {"discount": 0.9, "blame": 1.0},
}


def student(learning: dict[str, Any], seed: int = 4) -> Student:
    return Student(Settings.model_validate(SETTINGS.model_dump() | {"learning": learning}), seed=seed)


def weights(of: Student) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in of.policy.parameters()]


def lived(of: Student, *, first: int, steps: int) -> list[dict[str, float]]:
    """The figures of some steps on two tasks."""
    figures: list[dict[str, float]] = []
    for step in range(steps):
        task = (SUM, TASK)[step % 2]
        figures.append(learn(of, task, generate(of, task, first=first + 16 * step), good="5").metrics)
    return figures


@pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda each: "-".join(map(str, each.values())))
def test_every_algorithm_makes_rewarded_programs_likelier(algorithm: dict[str, Any]) -> None:
    made = student({"algorithm": algorithm, "replay_share": 0.0, "learning_rate": 0.01})
    shares: list[float] = []
    for step in range(15):
        written = generate(made, SUM, size=32, first=1 + 32 * step)
        own = [attempt for attempt in written.attempts if attempt.arm == "policy"]
        shares.append(sum("5" in attempt.code for attempt in own) / len(own))
        learn(made, SUM, written, good="5")
    assert sum(shares[-3:]) / 3 > 1.3 * sum(shares[:2]) / 2


def test_what_is_regulated_is_noted() -> None:
    figures = lived(student(EVERYTHING), first=1, steps=4)[-1]
    assert {"entropy_coef", "rate_share", "ref_kl"} <= figures.keys()
    assert all(torch.isfinite(torch.tensor(value)) for value in figures.values())


def test_with_everything_on_a_restored_student_learns_what_the_first_would_have(tmp_path: Path) -> None:
    first = student(EVERYTHING)
    lived(first, first=1, steps=5)
    saved = first.save(Save(folder=str(tmp_path)))
    second = student(EVERYTHING)
    second.restore(CheckpointFile(path=saved.path, sha256=saved.sha256))
    ahead = lived(first, first=200, steps=5)
    assert lived(second, first=200, steps=5) == ahead
    assert all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


def test_a_copy_to_stay_close_to_holds_the_policy_back() -> None:
    distances: list[float] = []
    for weight in (1e-6, 10.0):
        reference = {"weight": weight, "refresh_versions": 1000}
        made = student({"reference": reference, "replay_share": 0.0, "learning_rate": 0.005})
        steps = [learn(made, SUM, generate(made, SUM, first=1 + 16 * n), good="5").metrics for n in range(15)]
        distances.append(max(each.get("ref_kl", 0.0) for each in steps))
    assert distances[1] < 0.25 * distances[0]


def test_without_a_weight_no_copy_is_made() -> None:
    made = student({})
    lived(made, first=1, steps=2)
    assert made._trainer.reference.policy is None


def test_the_distance_from_a_fresh_copy_is_zero_and_grows() -> None:
    figures = lived(student({"reference": {"weight": 0.1, "refresh_versions": 100}}), first=1, steps=5)
    distances = [each["ref_kl"] for each in figures if "ref_kl" in each]
    assert distances[0] == pytest.approx(0.0, abs=1e-6)
    assert max(distances[1:]) > 1e-4


def test_blame_moves_what_is_learned() -> None:
    made = [student({"replay_share": 0.0, "credit": {"blame": blame}}) for blame in (0.0, 9.0)]
    for each in made:
        learn_with_blame(each)
    assert any(not torch.equal(a, b) for a, b in zip(weights(made[0]), weights(made[1]), strict=True))


def learn_with_blame(of: Student) -> None:
    """The first of four attempts is right; the tools blame the first token of the others."""
    plan = GroupPlan(group=1, task=SUM, size=4, first_number=1, explore=False)
    judged = tuple(
        Judged(
            attempt=attempt,
            outcome=Outcome(status=Status.SUCCESS),
            score=Score(value=float(place == 0), parts={}, solved=place == 0),
            feedback=ToolFeedback(
                fault=Fault.NAME, severity=1.0, blame=(1.0, *[0.0] * (len(attempt.tokens) - 1))
            ),
        )
        for place, attempt in enumerate(of.generate(Generate(plans=(plan,))).attempts)
    )
    of.learn(Learn(groups=(Group(plan=plan, judged=judged),)))


@pytest.mark.parametrize(
    ("tokens", "reason"),
    [
        ((1,) * 9, "attempt 1 has 9 tokens, more than the 8 of its task"),
        ((), "attempt 1 has no tokens"),
    ],
)
def test_an_attempt_that_cannot_be_learned_from_drops_its_group_and_moves_no_weight(
    tokens: tuple[int, ...], reason: str
) -> None:
    made = student({})
    before = weights(made)
    written = generate(made, SUM, size=4)
    odd = msgspec.structs.replace(written.attempts[0], tokens=tokens, logps=(-1.0,) * len(tokens), code="5")
    learned = learn(made, SUM, Generated(attempts=(odd, *written.attempts[1:]), metrics={}), good="only this")
    assert learned.dropped == {1: reason}
    assert all(torch.equal(a, b) for a, b in zip(before, weights(made), strict=True))


def test_a_solution_longer_than_its_task_allows_is_not_replayed() -> None:
    made = student({})
    before = weights(made)
    written = generate(made, SUM, size=2)
    odd = tuple(
        msgspec.structs.replace(attempt, tokens=(1,) * 9, logps=(-1.0,) * 9) for attempt in written.attempts
    )
    learned = learn(made, SUM, Generated(attempts=odd, metrics={}), good="")
    assert learned.metrics["replayed"] == 0.0
    assert all(torch.equal(a, b) for a, b in zip(before, weights(made), strict=True))


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["logps", "rl", "ce"])
def test_a_number_that_is_not_finite_anywhere_in_a_sample_skips_the_step(field: str, number: float) -> None:
    made = student({})
    before = weights(made)
    tokens = generate(made, SUM, size=2).attempts[0].tokens
    good = Sample(task=SUM, tokens=tokens, logps=(-1.0,) * len(tokens), rl=(1.0,) * len(tokens))
    sick = msgspec.structs.replace(good, **{field: (number, *[-1.0] * (len(tokens) - 1))})
    assert made._trainer.step([good, sick]).skipped == "a number in a sample of t/sum is not finite"
    assert all(torch.equal(a, b) for a, b in zip(before, weights(made), strict=True))


def test_a_weight_that_is_not_finite_skips_the_step() -> None:
    made = student({})
    attempts = generate(made, SUM, size=2).attempts
    with torch.no_grad():
        next(made.policy.parameters()).fill_(math.inf)
    tokens = attempts[0].tokens
    sample = Sample(task=SUM, tokens=tokens, logps=(-1.0,) * len(tokens), rl=(1.0,) * len(tokens))
    assert "loss nan" in made._trainer.step([sample]).skipped
