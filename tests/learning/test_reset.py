"""Weights are drawn anew: those that were named and no others, the same ones for the same seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from altlas_agent.core.errors import PolicyError
from altlas_agent.core.requests import ResetWeights
from altlas_agent.learning.student import Student
from tests.learning.test_going_on import lived, saved, weights
from tests.learning.test_student import SETTINGS

if TYPE_CHECKING:
    from pathlib import Path


def trained(seed: int = 4) -> Student:
    student = Student(SETTINGS, seed=seed)
    lived(student, first=1, steps=3)
    return student


def named(student: Student) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in student.policy.named_parameters()}


def moments(student: Student, name: str) -> list[torch.Tensor]:
    place = [known for known, _ in student.policy.named_parameters()].index(name)
    tensors = student._trainer.optimiser.tensors()
    return [tensor for key, tensor in tensors.items() if key.startswith(f"{place}.")]


def test_the_output_layer_alone_is_drawn_anew_and_its_moments_forgotten() -> None:
    student = trained()
    before = named(student)
    done = student.reset(ResetWeights(why="it is sure of nothing right", layers=("head",)))
    after = named(student)
    assert set(done.names) == {"head.weight", "head.bias"}
    assert done.numbers == sum(before[name].numel() for name in done.names)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == set(done.names)
    assert not any(tensor.any() for tensor in moments(student, "head.weight"))
    assert all(tensor.any() for tensor in moments(student, "writer.weight_hh_l0"))


def test_moments_alone_are_forgotten_and_no_weight_moves() -> None:
    student = trained()
    before = weights(student)
    student.reset(ResetWeights(why="old news", weights=False))
    assert all(torch.equal(a, b) for a, b in zip(before, weights(student), strict=True))
    assert not any(tensor.any() for tensor in student._trainer.optimiser.tensors().values())


def test_shrink_and_perturb_mixes_what_was_with_a_fresh_draw() -> None:
    student, other = trained(), trained()
    before = named(student)
    other.reset(ResetWeights(why="all of it", moments=False))
    fresh = named(other)
    student.reset(ResetWeights(why="stiff", keep=0.8, fresh=0.1, moments=False))
    for name, weight in named(student).items():
        assert torch.allclose(weight, 0.8 * before[name] + 0.1 * fresh[name], atol=1e-6)
    assert all(tensor.any() for tensor in moments(student, "head.weight"))


def test_a_reset_is_the_same_for_the_same_seed_also_after_a_restart(tmp_path: Path) -> None:
    first = trained()
    file = saved(first, tmp_path)
    second = Student(SETTINGS, seed=4)
    second.restore(file)
    state = torch.get_rng_state()
    for student in (first, second):
        student.reset(ResetWeights(why="stuck", keep=0.5))
        assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))
    assert lived(first, first=100, steps=2) == lived(second, first=100, steps=2)


def test_a_layer_that_there_is_not_is_refused_and_nothing_changes() -> None:
    student = trained()
    before = weights(student)
    with pytest.raises(PolicyError, match=r"no layer 'tail' .* it has words, reader, .*head"):
        student.reset(ResetWeights(why="a slip", layers=("head", "tail")))
    assert all(torch.equal(a, b) for a, b in zip(before, weights(student), strict=True))
