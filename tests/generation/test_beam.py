"""Beam search finds the likeliest programs of a policy, several for each task, and whole ones only."""

from __future__ import annotations

import msgspec
import pytest
import torch

from altlas_agent.core.errors import PolicyError
from altlas_agent.core.records import Arm, Constraints, Kind, Sample, Task
from altlas_agent.generation.base import Row
from altlas_agent.generation.beam import beam
from altlas_agent.languages.tokens.grammar import check
from altlas_agent.learning.samples import collate
from altlas_agent.learning.student import Student
from altlas_agent.settings.run import Settings
from tests.languages.programs import task_of
from tests.policies.networks import KINDS

TASKS = [
    task_of(kind=Kind.STDOUT, numbers=(5, 3), constraints=Constraints(max_tokens=8)),
    msgspec.structs.replace(task_of(params=("num", "list"), max_tokens=14), id="t/two", name="two"),
]
ROWS = [Row(1 + place, place, place, task, Arm.BEAM) for place, task in enumerate(TASKS)]
every_kind = pytest.mark.parametrize("kind", ["recurrent", "lstm", "transformer"])


def student(kind: str, seed: int = 1) -> Student:
    made = Student(Settings(policy=KINDS[kind]), seed=seed)
    torch.nn.init.normal_(made.policy.get_parameter("head.weight"), std=0.5)
    return made


def logps(of: Student, task: Task, programs: list[tuple[int, ...]]) -> list[float]:
    """The log-probabilities that the learner finds for whole programs."""
    settings = of._settings
    samples = [Sample(task=task, tokens=tokens, logps=(0.0,) * len(tokens)) for tokens in programs]
    batch = collate(samples, settings.policy.reading, settings.generation)
    with torch.no_grad():
        found = of._trainer.log_probabilities(batch).gather(2, batch.tokens_NT.unsqueeze(2)).squeeze(2)
    return [float(each) for each in (found * batch.mask_NT).sum(1)]


@every_kind
def test_every_program_of_a_beam_is_whole_and_there_are_no_two_alike(kind: str) -> None:
    for task, programs in zip(
        TASKS, beam(student(kind)._sampler, ROWS, width=6, length_power=0.7), strict=True
    ):
        assert 1 <= len(programs) <= 6
        assert len(set(programs)) == len(programs)
        for tokens in programs:
            check(task, tokens)


@every_kind
def test_a_wide_beam_finds_what_is_likelier_than_what_is_drawn(kind: str) -> None:
    made = student(kind)
    [found, _] = beam(made._sampler, ROWS, width=64, length_power=0.0)
    rows = [ROWS[0]._replace(arm=Arm.POLICY, number=n) for n in range(100)]
    drawn = list({each.tokens for each in made._sampler.write(rows)})
    assert max(logps(made, TASKS[0], found)) >= max(logps(made, TASKS[0], drawn)) - 1e-4


@every_kind
def test_the_first_program_of_a_beam_is_the_best_of_them(kind: str) -> None:
    made = student(kind)
    [found, _] = beam(made._sampler, ROWS, width=8, length_power=0.0)
    said = logps(made, TASKS[0], found)
    assert said == sorted(said, reverse=True)


def test_a_beam_of_one_follows_the_likeliest_token() -> None:
    made = student("recurrent")
    [[tokens], _] = beam(made._sampler, ROWS, width=1, length_power=0.0)
    strategy = msgspec.structs.replace(made._sampler._plain(Arm.POLICY).strategy, top_k=1)
    conditions = msgspec.structs.replace(made._sampler._plain(Arm.POLICY), strategy=strategy)
    [greedy] = made._sampler.write([ROWS[0]._replace(arm=Arm.POLICY, conditions=conditions)])
    assert greedy.tokens == tokens


def test_a_beam_of_sick_logits_is_refused() -> None:
    made = student("recurrent")
    with torch.no_grad():
        made.policy.get_parameter("head.bias")[3] = float("nan")
    with pytest.raises(PolicyError, match="not finite for 2 of 2 programs"):
        beam(made._sampler, ROWS, width=2, length_power=0.0)
