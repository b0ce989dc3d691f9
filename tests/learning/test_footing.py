"""Learning that comes to nonsense, or to the end of memory, harms no weight and finds its way back."""

from __future__ import annotations

import math
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest
import torch

from altlas_agent.core.errors import PolicyError
from altlas_agent.core.records import Group, GroupPlan, Judged, Outcome, Score, Status
from altlas_agent.core.requests import CheckpointFile, Generated, Learn, Learned, Save
from altlas_agent.learning.footing import MAX_RETURNS, MAX_SKIPPED
from altlas_agent.learning.student import Student
from altlas_agent.learning.trainer import MOST_PARTS
from tests.learning.test_student import SETTINGS, SUM, generate, learn

if TYPE_CHECKING:
    from pathlib import Path

    from altlas_agent.core.records import Task

HUNGRY = """
import resource, sys
from altlas_agent.learning.student import Student
from altlas_agent.settings.run import Settings
from tests.learning.test_student import SUM, generate, learn

student = Student(Settings.model_validate({"policy": {"type": "recurrent", "hidden": 256}, "learning": {"replay_share": 0}}), seed=1)
learn(student, SUM, generate(student, SUM), good="5")
made = generate(student, SUM, size=int(sys.argv[1]), first=100)
used = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmSize")) * 1024
resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[2]) * 2**20, resource.RLIM_INFINITY))
ballast = []
while sys.argv[2] == "0":  # also of what is free within the process only crumbs are left
    try:
        ballast.append(bytearray(2**20))
    except MemoryError:
        break
metrics = learn(student, SUM, made, good="5").metrics
print(student.version, metrics.get("parts"), metrics["samples"])
"""


def sick(made: Generated) -> Generated:
    """The same attempts, but as if the sampler had noted nonsense: the loss is no number then."""
    attempts = tuple(
        msgspec.structs.replace(attempt, logps=(math.nan,) * len(attempt.logps)) for attempt in made.attempts
    )
    return msgspec.structs.replace(made, attempts=attempts)


def learn_on_policy(student: Student, made: Generated, task: Task = SUM) -> Learned:
    """Every second attempt is right, and nothing is replayed."""
    judged = tuple(
        Judged(
            attempt=attempt,
            outcome=Outcome(status=Status.SUCCESS),
            score=Score(value=float(place % 2), parts={}, solved=bool(place % 2)),
        )
        for place, attempt in enumerate(made.attempts)
    )
    plan = GroupPlan(
        group=made.attempts[0].group, task=task, size=len(judged), first_number=made.attempts[0].number
    )
    return student.learn(Learn(groups=(Group(plan=plan, judged=judged),)))


def weights(student: Student) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in student.policy.parameters()]


def are_equal(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_step_whose_loss_is_no_number_is_skipped_before_it_touches_a_weight() -> None:
    student = Student(SETTINGS, seed=1)
    made = generate(student, SUM)
    before = weights(student)
    learned = learn_on_policy(student, sick(made))
    assert are_equal(weights(student), before)
    assert learned.version == student.version == 1
    assert learned.metrics["skipped_steps"] == 1.0
    assert "loss" not in learned.metrics
    assert learned.dropped == {
        1: "the learning step was skipped: a number in a sample of t/sum is not finite"
    }
    assert "skipped_steps" not in learn_on_policy(student, made).metrics
    assert not are_equal(weights(student), before)


def test_after_some_skipped_steps_the_student_goes_back_to_its_last_checkpoint_and_learns_slower(
    tmp_path: Path,
) -> None:
    student = Student(SETTINGS, seed=1)
    made = generate(student, SUM)
    learn_on_policy(student, made)
    student.save(Save(folder=str(tmp_path)))
    good, rate = weights(student), student._trainer.optimiser.learning_rate
    learn_on_policy(student, made)
    for _ in range(MAX_SKIPPED - 1):
        assert "returns" not in learn_on_policy(student, sick(made)).metrics
    assert not are_equal(weights(student), good)
    assert learn_on_policy(student, sick(made)).metrics["returns"] == 1.0
    assert are_equal(weights(student), good)
    assert student._trainer.optimiser.learning_rate == rate / 2
    assert student.version == 2 + MAX_SKIPPED


def test_a_weight_that_becomes_no_number_is_never_generated_from_and_never_saved(tmp_path: Path) -> None:
    student = Student(SETTINGS, seed=1)
    first = weights(student)
    made = generate(student, SUM)
    learn_on_policy(student, made)
    for tensor in student._trainer.optimiser.tensors().values():
        tensor.fill_(math.nan)
    assert learn_on_policy(student, made).metrics["returns"] == 1.0
    assert are_equal(weights(student), first)  # there was no checkpoint to go back to
    assert generate(student, SUM, first=100).attempts
    student.save(Save(folder=str(tmp_path)))


def test_a_student_that_goes_back_again_and_again_gives_up_and_says_why() -> None:
    student = Student(SETTINGS, seed=1)
    made = sick(generate(student, SUM))
    for _ in range(MAX_RETURNS * MAX_SKIPPED + MAX_SKIPPED - 1):
        learn_on_policy(student, made)
    with pytest.raises(PolicyError, match=r"also after 4 returns .* smaller learning.learning_rate"):
        learn_on_policy(student, made)


def test_a_student_that_was_interrupted_amid_skipped_steps_goes_back_where_the_other_one_does(
    tmp_path: Path,
) -> None:
    student, other = Student(SETTINGS, seed=1), Student(SETTINGS, seed=1)
    made = generate(student, SUM)
    learn_on_policy(student, made)
    student.save(Save(folder=str(tmp_path)))
    learn_on_policy(student, made)
    learn_on_policy(student, sick(made))
    amid = student.save(Save(folder=str(tmp_path)))
    other.restore(CheckpointFile(path=amid.path, sha256=amid.sha256))
    for each in (student, other):
        for _ in range(MAX_SKIPPED - 1):
            learn_on_policy(each, sick(made))
        learn_on_policy(each, made)
    assert are_equal(weights(student), weights(other))
    assert student._trainer.optimiser.learning_rate == other._trainer.optimiser.learning_rate


def test_samples_gone_through_in_parts_give_the_same_gradient() -> None:
    whole, parted = Student(SETTINGS, seed=1), Student(SETTINGS, seed=1)
    made = generate(whole, SUM, size=32)
    parted._trainer.parts = MOST_PARTS
    figures = [learn(student, SUM, made, good="5").metrics for student in (whole, parted)]
    for name in ("rl", "ce", "entropy", "loss", "gradient_norm"):
        assert figures[0][name] == pytest.approx(figures[1][name], rel=1e-4, abs=1e-6)
    for one, other in zip(whole.policy.parameters(), parted.policy.parameters(), strict=True):
        if one.grad is not None and other.grad is not None:
            assert torch.allclose(one.grad, other.grad, atol=1e-6)


def _hungry(size: int, left_mb: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", HUNGRY, str(size), str(left_mb)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.timeout(120)
def test_a_step_for_which_memory_does_not_suffice_is_taken_in_parts() -> None:
    ended = _hungry(1500, 70)
    assert ended.returncode == 0, ended.stderr
    version, parts, samples = ended.stdout.split()
    assert version == "2"
    assert float(parts) in (2.0, 4.0, 8.0)
    assert float(samples) > 500


@pytest.mark.timeout(120)
def test_a_step_for_which_there_is_no_memory_at_all_ends_with_a_word_about_it() -> None:
    ended = _hungry(1500, 0)
    assert ended.returncode == 1
    last = ended.stderr.strip().splitlines()[-1]
    assert "PolicyError: there is no memory to learn from" in last
    assert "smaller tasks.group_size" in last
