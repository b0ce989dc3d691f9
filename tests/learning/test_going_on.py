"""A student that is saved and restored in another place is the same student, to the last bit."""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import pytest
import torch

from altlas_agent.core.errors import PolicyError
from altlas_agent.core.requests import CheckpointFile, Save
from altlas_agent.learning.student import Student
from altlas_agent.settings.live import steered
from tests.learning.test_student import SETTINGS, SUM, TASK, generate, learn

LOOP = b"where the loop stands"


def lived(student: Student, *, first: int, steps: int) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    """Some steps on two tasks: what was written, with its log-probabilities."""
    seen: list[tuple[tuple[int, ...], tuple[float, ...]]] = []
    for step in range(steps):
        task = (SUM, TASK)[step % 2]
        made = generate(student, task, first=first + 16 * step)
        learn(student, task, made, good="5")
        seen += [(attempt.tokens, attempt.logps) for attempt in made.attempts]
    return seen


def weights(student: Student) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in student.policy.parameters()]


def saved(student: Student, folder: Path) -> CheckpointFile:
    found = student.save(Save(folder=str(folder), loop=LOOP))
    return CheckpointFile(path=found.path, sha256=found.sha256)


def test_a_restored_student_writes_and_learns_what_the_first_one_would_have(tmp_path: Path) -> None:
    first = Student(SETTINGS, seed=4)
    lived(first, first=1, steps=4)
    file = saved(first, tmp_path)
    torch.manual_seed(99)  # chance of another process
    second = Student(SETTINGS, seed=4)
    assert second.restore(file) == LOOP
    state = torch.get_rng_state()
    ahead = lived(first, first=100, steps=6)
    torch.set_rng_state(state)
    assert lived(second, first=100, steps=6) == ahead
    assert second.version == first.version == 10
    assert all(torch.equal(a, b) for a, b in zip(weights(first), weights(second), strict=True))


def test_the_same_student_saved_twice_is_the_same_file(tmp_path: Path) -> None:
    student = Student(SETTINGS, seed=4)
    lived(student, first=1, steps=2)
    assert saved(student, tmp_path / "a").sha256 == saved(student, tmp_path / "b").sha256


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    file = saved(Student(SETTINGS, seed=4), tmp_path)
    with open(file.path, "r+b") as content:
        content.seek(-1, 2)
        content.write(b"\xff")
    with pytest.raises(PolicyError, match="is damaged"):
        Student(SETTINGS, seed=4).restore(file)


def test_steering_changes_the_next_step_and_nothing_before(tmp_path: Path) -> None:
    plain, faster = Student(SETTINGS, seed=4), Student(SETTINGS, seed=4)
    assert lived(plain, first=1, steps=2) == lived(faster, first=1, steps=2)
    faster.steer(steered(SETTINGS, {"learning.learning_rate": 0.05}))
    lived(plain, first=100, steps=2)
    lived(faster, first=100, steps=2)
    assert not all(torch.equal(a, b) for a, b in zip(weights(plain), weights(faster), strict=True))


def test_files_of_a_killed_student_that_nobody_was_told_of_are_removed_by_the_next(tmp_path: Path) -> None:
    first = Student(SETTINGS, seed=4)
    early = saved(first, tmp_path)
    lived(first, first=1, steps=2)
    known = saved(first, tmp_path)
    lived(first, first=100, steps=1)
    untold, damaged = Path(saved(first, tmp_path).path), tmp_path / "policy-000009-0123456789ab.safetensors"
    unfinished = tmp_path / "policy-000003-0123456789ab.part"
    for path in (unfinished, damaged):
        path.write_bytes(b"half of it")
    second = Student(SETTINGS, seed=4)
    second.restore(known)
    lived(second, first=100, steps=2)
    newest = saved(second, tmp_path)
    assert not unfinished.exists()
    assert not untold.exists()
    assert set(tmp_path.iterdir()) == {Path(early.path), Path(known.path), Path(newest.path), damaged}


class Hostile:
    """Unpickled, it would write a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.touch, (self._path,)


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_checkpoint_that_holds_code_is_refused_and_the_code_is_not_run(tmp_path: Path, how: str) -> None:
    path, mark = tmp_path / "policy-000001-0123456789ab.safetensors", tmp_path / "mark"
    if how == "torch":
        torch.save({"model.weight": Hostile(mark)}, path)
    else:
        path.write_bytes(pickle.dumps(Hostile(mark)))
    file = CheckpointFile(path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(PolicyError, match="loading checkpoint"):
        Student(SETTINGS, seed=4).restore(file)
    assert not mark.exists()
