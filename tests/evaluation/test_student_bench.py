"""The bench of the student: it counts no work that is not done, and shows every figure."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from altlas_agent.evaluation.benches.student import bench as student
from altlas_agent.evaluation.benches.student import products, timing, whole
from altlas_agent.settings.policies import LstmPolicy, RecurrentPolicy, TransformerPolicy
from altlas_agent.settings.policies import Policy as PolicySettings

SETTINGS = [
    LstmPolicy(width=64, layers=2, heads=2),
    TransformerPolicy(width=64, layers=3, heads=2),
    LstmPolicy(width=32, layers=1, self_attention=False),
    TransformerPolicy(width=32, layers=1, cross_attention=False),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=["lstm", "transformer", "no self", "no cross"])
def test_what_is_counted_for_writing_is_what_torch_multiplies(settings: PolicySettings) -> None:
    subject, work = timing.Subject.of(settings), timing.work_of(32)
    with FlopCounterMode(display=False) as counter:
        timing.writing_s(subject.policy, work)
    counted = counter.get_total_flops()
    assert products.writing(settings, work) == pytest.approx(counted, rel=0.02)


def test_the_update_is_three_times_the_way_forward() -> None:
    settings = TransformerPolicy(width=64, layers=2, heads=2)
    work = timing.work_of(16)
    with FlopCounterMode(display=False) as counter:
        timing.learning_s(timing.Subject.of(settings).policy, work)
    # torch does not count its own attention, which is little here
    assert products.learning(settings, work) == pytest.approx(counter.get_total_flops(), rel=0.03)


def test_the_default_policy_is_counted_by_its_gates() -> None:
    settings, work = RecurrentPolicy(hidden=64, embedding=32), timing.work_of(16)
    gates = 16 * timing.TOKENS * 2 * 3 * 64 * 64  # what goes in comes from tables
    assert gates < products.writing(settings, work) < 6 * gates


@pytest.mark.timeout(120)
def test_every_figure_stands_beside_its_baseline(monkeypatch: pytest.MonkeyPatch) -> None:
    small: dict[str, PolicySettings] = {
        "recurrent": RecurrentPolicy(hidden=32, embedding=16),
        "lstm": LstmPolicy(size="tiny"),
    }
    monkeypatch.setattr(student, "SUBJECTS", small)
    monkeypatch.setattr(whole, "SHORT", 32)
    monkeypatch.setattr(whole, "LONG", 192)
    threads = torch.get_num_threads()
    measures = {measure.name: measure for measure in student.bench(rounds=1).measures}
    torch.set_num_threads(threads)
    what = {
        "write_128",
        "update",
        "sampler",
        "shaped",
        "neighbours",
        *(f"batch_{size}" for size in student.BATCHES),
    }
    assert set(measures) == {f"{name}_{each}" for name in small for each in what} | {"attempts"}
    assert all(measure.value > 0 and measure.baseline for measure in measures.values())
    assert measures["lstm_batch_128"].holds
