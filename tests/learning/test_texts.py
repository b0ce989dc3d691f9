"""Hint, error and earlier code reach the policy: what is trained was read when it was sampled, in every life."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from msgspec.structs import replace

from altlas_agent.core.records import Arm, Beside, Group, GroupPlan, Judged, Outcome, Score, Status
from altlas_agent.core.requests import CheckpointFile, Generate, Generated, Learn, Save
from altlas_agent.learning.samples import collate, from_group
from altlas_agent.learning.student import Student
from altlas_agent.settings.run import Settings
from tests.learning.test_student import SUM, TASK, generate, learn

if TYPE_CHECKING:
    from pathlib import Path

    from altlas_agent.core.records import Sample, Task

TEXTS = (
    Beside(),
    Beside(error="type error: unsupported operand for int and str", context="print(5)\n"),
    Beside(hint="add both numbers", context="OUTPUT NUM_0 END"),
)
KINDS = ("lstm", "transformer")


def student(kind: str, **more: object) -> Student:
    policy: dict[str, object] = {"type": kind, "size": "tiny", "window": 24, **more}
    settings = Settings.model_validate(
        {"policy": policy, "generation": {"temperature": 1.3, "require_boost": 4.0}}
    )
    return Student(settings, seed=1)


def moved(kind: str) -> Student:
    """Some steps away from the uniform start."""
    made = student(kind)
    for step in range(3):
        learn(made, SUM, generate(made, SUM, first=1 + 16 * step), good="5")
    return made


def plans_of(task: Task, first: int) -> tuple[GroupPlan, ...]:
    return tuple(
        GroupPlan(
            group=first + n, task=task, size=16, first_number=first + 16 * n, explore=False, beside=texts
        )
        for n, texts in enumerate(TEXTS)
    )


def groups_of(plans: tuple[GroupPlan, ...], made: Generated) -> tuple[Group, ...]:
    """Every second attempt was good."""
    judged = [
        Judged(
            attempt=attempt,
            outcome=Outcome(status=Status.SUCCESS),
            score=Score(value=float(attempt.number % 2), parts={}, solved=attempt.number % 2 == 1),
        )
        for attempt in made.attempts
    ]
    return tuple(
        Group(plan=plan, judged=tuple(j for j in judged if j.attempt.group == plan.group)) for plan in plans
    )


def distance(of: Student, samples: list[Sample]) -> float:
    """By how much a trained log-probability differs from the sampled one, at most."""
    settings = of._settings
    batch = collate(samples, settings.policy.reading, settings.generation)
    with torch.no_grad():
        trained = of._trainer.log_probabilities(batch).gather(2, batch.tokens_NT.unsqueeze(2)).squeeze(2)
    return float(((trained - batch.old_logps_NT) * batch.mask_NT).abs().max())


def samples_of(groups: tuple[Group, ...]) -> list[Sample]:
    return [
        sample
        for group in groups
        for sample in from_group(group, tuple((1.0,) * len(j.attempt.tokens) for j in group.judged), 0.0, {})
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_trained_log_probability_is_the_sampled_one_with_texts_beside(kind: str, tmp_path: Path) -> None:
    first = moved(kind)
    saved = first.save(Save(folder=str(tmp_path)))
    second = student(kind)
    second.restore(CheckpointFile(path=saved.path, sha256=saved.sha256))
    plans = plans_of(TASK, 100) + plans_of(SUM, 200)
    made, again = first.generate(Generate(plans=plans)), second.generate(Generate(plans=plans))
    assert [(a.tokens, a.logps) for a in made.attempts] == [(a.tokens, a.logps) for a in again.attempts]
    samples = samples_of(groups_of(plans, made))
    assert {sample.beside for sample in samples} == set(TEXTS)
    assert distance(first, samples) < 1e-5
    assert distance(second, samples) < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_the_texts_change_what_the_policy_makes_of_a_program(kind: str) -> None:
    made = moved(kind)
    plans = plans_of(SUM, 100)
    samples = samples_of(groups_of(plans, made.generate(Generate(plans=plans))))
    bare = [sample for sample in samples if sample.beside == TEXTS[1]]
    assert distance(made, [replace(sample, beside=Beside()) for sample in bare]) > 1e-3


def test_a_step_with_texts_is_the_same_after_a_restart_and_replay_reads_none(tmp_path: Path) -> None:
    first = moved("lstm")
    plans = plans_of(SUM, 100)
    groups = groups_of(plans, first.generate(Generate(plans=plans)))
    saved = first.save(Save(folder=str(tmp_path)))
    second = student("lstm")
    second.restore(CheckpointFile(path=saved.path, sha256=saved.sha256))
    assert first.learn(Learn(groups=groups)) == second.learn(Learn(groups=groups))
    pairs = zip(first.policy.parameters(), second.policy.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    kept = [sample for _, samples in first._replay.state().solutions for sample in samples]
    assert kept
    assert {sample.beside for sample in kept} == {Beside()}


def test_a_hint_of_ten_thousand_words_is_cut_and_the_reason_is_told_once(tmp_path: Path) -> None:
    made = student("lstm", hint_words=16)
    plan = GroupPlan(group=1, task=SUM, size=4, first_number=1, beside=Beside(hint="word " * 10_000))
    told = made.generate(Generate(plans=(plan,)))
    assert told.cuts == (f"hint of {SUM.key}: only the first 16 words are read, by policy.hint_words",)
    assert made.generate(Generate(plans=(plan,))).cuts == ()
    saved = made.save(Save(folder=str(tmp_path)))
    again = student("lstm", hint_words=16)
    again.restore(CheckpointFile(path=saved.path, sha256=saved.sha256))
    assert again.generate(Generate(plans=(plan,))).cuts == ()
    assert [attempt.arm for attempt in told.attempts].count(Arm.POLICY) == 2
