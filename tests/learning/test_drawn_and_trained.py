"""Whatever shapes a draw, the log-probability that is trained is the one that was sampled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import torch

from altlas_agent.core.errors import PolicyError
from altlas_agent.core.records import (
    Arm,
    Attempt,
    Beside,
    CaseResult,
    Constraints,
    Group,
    GroupPlan,
    Judged,
    Kind,
    Outcome,
    Score,
    Status,
)
from altlas_agent.core.requests import CheckpointFile, Generate, Learn, Save
from altlas_agent.languages.tokens.grammar import check
from altlas_agent.learning.samples import collate, from_group
from altlas_agent.learning.student import Student
from altlas_agent.settings.run import Settings
from tests.languages.programs import task_of
from tests.policies.networks import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PARTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "temperature": {"temperature": 1.7},
    "heat": {"heat": {"by_score": 0.5, "by_repeats": 1.0}},
    "top-k": {"cut": {"top_k": 4}},
    "top-p": {"cut": {"top_p": 0.8}},
    "min-p": {"cut": {"min_p": 0.2}},
    "noise": {"push": {"noise": 0.7}},
    "repetition": {"push": {"repetition": 0.8}},
    "imbalance": {"push": {"imbalance": 1.5}},
    "boost decay": {"boost": {"decay": "steps", "half_life": 3}},
    "boost of words": {"boost": {"text": 4.0, "hint": 6.0}},
    "stop by entropy": {"stop": {"entropy": 0.7, "least": 4}},
    "stop by repetition": {"stop": {"repeats": 2, "least": 3}},
}
EVERYTHING: dict[str, Any] = {
    "temperature": 1.3,
    "require_boost": 4.0,
    "heat": {"by_score": 0.5, "by_repeats": 1.0},
    "cut": {"top_k": 12, "top_p": 0.9, "min_p": 0.02},
    "push": {"noise": 0.5, "repetition": 0.3, "imbalance": 1.5},
    "boost": {"decay": "success", "text": 2.0, "hint": 3.0},
    "stop": {"entropy": 0.9, "repeats": 3, "least": 5},
    "beam": {"share": 0.125, "after_groups": 1},
}
PARTS["everything"] = EVERYTHING
TASKS = [
    task_of(params=("num", "list"), constraints=Constraints(max_tokens=20, require_operators=("+",))),
    msgspec.structs.replace(
        task_of(kind=Kind.STDOUT, numbers=(5, 3)),
        id="t/sum",
        name="sum",
        description="Print the sum of 5 and 3.",
    ),
]
every_kind = pytest.mark.parametrize("kind", ["recurrent", "lstm", "transformer"])


def student(kind: str, generation: dict[str, Any], seed: int = 1) -> Student:
    settings = Settings.model_validate({"generation": {"search_share": 0.0} | generation}).model_copy(
        update={"policy": KINDS[kind]}
    )
    made = Student(settings, seed=seed)
    torch.nn.init.normal_(made.policy.get_parameter("head.weight"), std=0.3)
    return made


def plans(first: int) -> tuple[GroupPlan, ...]:
    return tuple(
        GroupPlan(
            group=first + place,
            task=task,
            size=16,
            first_number=first + 16 * place,
            beside=Beside(hint="a loop over each item"),
        )
        for place, task in enumerate(TASKS)
    )


def judged(of: Sequence[GroupPlan], attempts: Sequence[Attempt]) -> tuple[Group, ...]:
    """Every other attempt passes a test."""
    return tuple(
        Group(
            plan=plan,
            judged=tuple(
                Judged(
                    attempt=each,
                    outcome=Outcome(
                        status=Status.SUCCESS,
                        cases=(CaseResult(passed=each.number % 2 == 0, hidden=False),),
                    ),
                    score=Score(value=each.number % 4 / 4, parts={}),
                )
                for each in attempts
                if each.group == plan.group
            ),
        )
        for plan in of
    )


def drawn(of: Student, first: int = 1) -> tuple[Group, ...]:
    planned = plans(first)
    return judged(planned, of.generate(Generate(plans=planned)).attempts)


def lived(of: Student, steps: int) -> None:
    for step in range(steps):
        learned = of.learn(Learn(groups=drawn(of, first=1 + 32 * step)))
        assert not learned.dropped


def difference(of: Student, groups: Sequence[Group]) -> float:
    """The largest difference between what was sampled and what would be trained."""
    known = of._strategist.recall(groups)
    samples = [
        sample
        for group in groups
        for sample in from_group(
            group, tuple((1.0,) * len(j.attempt.tokens) for j in group.judged), 0.0, known
        )
    ]
    own = [j.attempt.arm is Arm.POLICY for group in groups for j in group.judged]
    batch = collate(samples, of._settings.policy.reading, of._settings.generation)
    with torch.no_grad():
        found = of._trainer.log_probabilities(batch).gather(2, batch.tokens_NT.unsqueeze(2)).squeeze(2)
    assert sum(own) > 8
    return float(((found - batch.old_logps_NT) * batch.mask_NT)[torch.tensor(own)].abs().max())


@every_kind
@pytest.mark.parametrize("part", PARTS)
def test_what_is_trained_is_what_was_sampled(kind: str, part: str) -> None:
    made = student(kind, PARTS[part])
    lived(made, steps=3)
    assert difference(made, drawn(made, first=500)) < 1e-5


@every_kind
def test_what_was_drawn_before_a_checkpoint_is_trained_alike_behind_it(kind: str, tmp_path: Path) -> None:
    first, second = student(kind, EVERYTHING), student(kind, EVERYTHING, seed=7)
    lived(first, steps=3)
    pending = drawn(first, first=500)
    saved = first.save(Save(folder=str(tmp_path)))
    second.restore(CheckpointFile(path=saved.path, sha256=saved.sha256))
    assert difference(second, pending) < 1e-5


def test_a_restored_student_draws_what_the_first_one_would_have(tmp_path: Path) -> None:
    first, second = (student("recurrent", EVERYTHING) for _ in range(2))
    lived(first, steps=4)
    saved = first.save(Save(folder=str(tmp_path)))
    second.restore(CheckpointFile(path=saved.path, sha256=saved.sha256))
    state = torch.get_rng_state()
    ahead = [drawn(first, first=500 + 32 * step) for step in range(2)]
    torch.set_rng_state(state)
    assert [drawn(second, first=500 + 32 * step) for step in range(2)] == ahead


@pytest.mark.parametrize("part", ["top-k", "everything"])
def test_with_newer_weights_every_token_that_was_drawn_still_has_a_chance(part: str) -> None:
    made = student("recurrent", PARTS[part])
    pending = drawn(made, first=500)
    torch.nn.init.normal_(made.policy.get_parameter("head.weight"), std=0.3)
    assert difference(made, pending) < 100


def test_attempts_whose_sets_are_not_known_any_more_are_not_learned_from() -> None:
    made, other = (student("recurrent", PARTS["top-k"]) for _ in range(2))
    before = [weight.detach().clone() for weight in made.policy.parameters()]
    groups = drawn(other)
    learned = made.learn(Learn(groups=groups))
    assert set(learned.dropped.values()) == {
        "it is not known any more which tokens attempt 1 was drawn from",
        "it is not known any more which tokens attempt 17 was drawn from",
    }
    assert all(torch.equal(a, b) for a, b in zip(before, made.policy.parameters(), strict=True))


def test_what_was_learned_from_is_not_kept() -> None:
    made = student("recurrent", EVERYTHING)
    groups = drawn(made)
    assert len(made._strategist.state().drawn) > 8
    made.learn(Learn(groups=groups))
    assert made._strategist.state().drawn == ()


def test_as_settings_come_nothing_is_kept_of_a_draw() -> None:
    made = student("recurrent", {})
    attempts = [each.attempt for group in drawn(made) for each in group.judged]
    assert made._strategist.state().drawn == ()
    assert {each.strategy.name for each in attempts if each.strategy} == {"plain", "flat", "grammar"}


@pytest.mark.parametrize(
    ("stop", "reason"),
    [({"repeats": 2, "least": 3}, "repetition"), ({"entropy": 0.5, "least": 3}, "entropy")],
)
def test_a_program_that_is_ended_early_is_whole_and_says_so(stop: dict[str, Any], reason: str) -> None:
    made = student("recurrent", {"stop": stop})
    found = 0
    for group in drawn(made):
        for attempt in (each.attempt for each in group.judged):
            check(group.plan.task, attempt.tokens)
            if attempt.strategy and attempt.strategy.stopped_by:
                found += 1
                assert attempt.strategy.stopped_by == reason
                assert attempt.strategy.stopped_at >= 3
                assert not any(attempt.logps[attempt.strategy.stopped_at :])
                assert attempt.arm is Arm.POLICY
    assert found > 1


def test_a_beam_search_takes_its_share_when_a_task_is_stuck() -> None:
    made = student("recurrent", {"beam": {"share": 0.25, "after_groups": 2, "rest": 3}})
    arms: list[int] = []
    for step in range(5):
        groups = drawn(made, first=1 + 32 * step)
        attempts = [each.attempt for each in groups[0].judged]
        arms.append(sum(each.arm is Arm.BEAM for each in attempts))
        for each in attempts:
            check(TASKS[0], each.tokens)
            if each.arm is Arm.BEAM:
                assert each.strategy
                assert each.strategy.beam == 8
                assert not any(each.logps)
        flat = tuple(
            msgspec.structs.replace(
                group,
                judged=tuple(
                    msgspec.structs.replace(each, score=Score(value=0.0, parts={})) for each in group.judged
                ),
            )
            for group in groups
        )
        made.learn(Learn(groups=flat))
    assert arms[:2] == [0, 0]  # a task is stuck after two groups
    assert arms[2] == 4
    made._strategist.was_reset()
    assert not any(each.attempt.arm is Arm.BEAM for each in drawn(made, first=900)[0].judged)


def test_only_the_policys_own_attempts_are_learned_from_by_their_advantage() -> None:
    made = student("recurrent", {"beam": {"share": 0.25, "after_groups": 1}})
    lived(made, steps=3)
    groups = drawn(made, first=500)
    annotated = made._algorithm.annotate(groups)
    for group, rows in zip(groups, annotated, strict=True):
        for each, row in zip(group.judged, rows.advantages, strict=False):
            assert each.attempt.arm is Arm.POLICY or not any(row)


@pytest.mark.parametrize("sick", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_are_refused_with_a_reason(sick: float) -> None:
    made = student("recurrent", {})
    with torch.no_grad():
        made.policy.get_parameter("head.bias")[3] = sick
    with pytest.raises(PolicyError, match="logits that are not finite for 32 of 32 programs"):
        drawn(made)


def test_steering_the_temperature_leaves_what_was_drawn_before_as_it_was() -> None:
    made = student("recurrent", {})
    pending = drawn(made)
    generation = made._settings.generation.model_copy(update={"temperature": 3.0})
    made.steer(made._settings.model_copy(update={"generation": generation}))
    assert difference(made, pending) < 1e-5
