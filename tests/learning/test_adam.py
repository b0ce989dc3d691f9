"""The optimiser: the same bits as torch's, and a start without torch's compiler."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from altlas_agent.learning.adam import Adam

LEARNING = """
import sys
import torch
torch.set_deterministic_debug_mode("error")
from altlas_agent.learning.student import Student
from tests.learning.test_student import SETTINGS, SUM, generate, learn
student = Student(SETTINGS, seed=1)
learn(student, SUM, generate(student, SUM), good="5")
print([name for name in sys.modules if name in ("torch._dynamo", "torch._inductor")])
"""


def weights() -> list[torch.nn.Parameter]:
    torch.manual_seed(1)
    return [torch.nn.Parameter(torch.randn(shape)) for shape in ((5, 3), (7,), (2, 2))]


def moved(optimiser: Adam | torch.optim.Adam, on: list[torch.nn.Parameter], *, steps: int) -> None:
    """The last weight gets a gradient in every other step only."""
    for step in range(steps):
        for place, weight in enumerate(on):
            weight.grad = None if place == 2 and step % 2 else torch.sin(weight.detach() * (step + 1))
        optimiser.step()


def test_it_moves_weights_to_the_same_bits_as_that_of_torch() -> None:
    ours, theirs = weights(), weights()
    moved(Adam(ours, 0.01), ours, steps=9)
    moved(torch.optim.Adam(theirs, lr=0.01, fused=True), theirs, steps=9)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_restored_one_goes_on_as_the_first_one_does() -> None:
    first = weights()
    one = Adam(first, 0.01)
    moved(one, first, steps=3)
    second = [torch.nn.Parameter(weight.detach().clone()) for weight in first]
    other = Adam(second, 0.01)
    other.restore({name: tensor.clone() for name, tensor in one.tensors().items()})
    for optimiser, on in ((one, first), (other, second)):
        moved(optimiser, on, steps=4)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


def test_moments_of_another_shape_are_refused() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        Adam(weights(), 0.01).restore({"1.exp_avg": torch.zeros(8)})


def test_a_student_learns_without_the_compiler_of_torch() -> None:
    ended = subprocess.run([sys.executable, "-c", LEARNING], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
