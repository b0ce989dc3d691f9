"""Every policy: what is trained is what was sampled, nothing looks ahead, and what does not fit is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import torch
from pydantic import ValidationError

from altlas_agent.core.errors import PolicyError
from altlas_agent.core.records import Arm, Constraints, GroupPlan, Kind, Sample
from altlas_agent.core.requests import CheckpointFile, Generate, Save
from altlas_agent.learning.adam import Adam
from altlas_agent.learning.samples import collate
from altlas_agent.learning.student import Student
from altlas_agent.policies import checkpoint
from altlas_agent.settings.generation import GenerationSettings
from altlas_agent.settings.policies import LstmPolicy, TransformerPolicy
from altlas_agent.settings.run import Settings
from tests.languages.programs import task_of
from tests.policies.networks import KINDS, make_policy, make_programs, make_prompts

if TYPE_CHECKING:
    from pathlib import Path

every_kind = pytest.mark.parametrize("kind", KINDS)
STEPS = 40


@every_kind
@torch.no_grad()
def test_steps_say_what_the_whole_sequence_says(kind: str) -> None:
    policy = make_policy(kind)
    prompts = make_prompts([0, 0, 1, 2, 2, 2])
    previous, holes = make_programs(6, STEPS)
    whole = policy.sequence(prompts, previous, holes)
    writing = policy.begin(prompts, STEPS)
    for step in range(STEPS):
        logits = writing.step(previous[:, step], holes[:, step])
        assert (logits - whole[:, step]).abs().max() < 1e-5
    assert whole.std() > 0.1


@every_kind
@torch.no_grad()
def test_programs_that_end_leave_the_others_as_they_were(kind: str) -> None:
    policy = make_policy(kind)
    rows = [0, 2, 1, 0, 2, 1, 1, 0]
    previous, holes = make_programs(8, STEPS)
    whole = policy.sequence(make_prompts(rows), previous, holes)
    writing = policy.begin(make_prompts(rows), STEPS)
    active = torch.arange(8)
    for step in range(STEPS):
        logits = writing.step(previous[active, step], holes[active, step])
        assert (logits - whole[active, step]).abs().max() < 1e-5
        if step % 5 == 4 and len(active) > 2:
            keep = torch.tensor([place for place in range(len(active)) if place != step % len(active)])
            writing.keep(keep)
            active = active[keep]
    assert len(active) == 2


@every_kind
@torch.no_grad()
def test_a_program_can_go_on_in_two_ways_and_in_another_order(kind: str) -> None:
    policy = make_policy(kind)
    previous, holes = make_programs(3, 12)
    chosen = torch.tensor([2, 0, 0, 1])
    whole = policy.sequence(make_prompts([0, 1, 2]), previous, holes)[chosen]
    writing = policy.begin(make_prompts([0, 1, 2]), 12)
    for step in range(6):
        writing.step(previous[:, step], holes[:, step])
    writing.keep(chosen)
    for step in range(6, 12):
        logits = writing.step(previous[chosen, step], holes[chosen, step])
        assert (logits - whole[:, step]).abs().max() < 1e-5


@every_kind
@torch.no_grad()
def test_a_later_token_changes_no_earlier_logit(kind: str) -> None:
    policy = make_policy(kind)
    previous, holes = make_programs(2, 20)
    before = policy.sequence(make_prompts([0, 1]), previous, holes)
    other = previous.clone()
    other[:, 12] = (other[:, 12] + 1) % 30
    after = policy.sequence(make_prompts([0, 1]), other, holes)
    assert torch.equal(before[:, :12], after[:, :12])
    assert not torch.allclose(before[:, 12], after[:, 12])


@every_kind
@torch.no_grad()
def test_padding_of_a_prompt_changes_nothing(kind: str) -> None:
    policy = make_policy(kind)
    previous, holes = make_programs(1, 10)
    narrow, wide = make_prompts([0], (5,)), make_prompts([0], (5, 30))
    assert wide.words_PW.shape[1] == 30
    difference = policy.sequence(narrow, previous, holes) - policy.sequence(wide, previous, holes)
    assert difference.abs().max() < 1e-5


@pytest.mark.parametrize("kind", ["lstm", "lstm, bare", "transformer", "transformer, bare"])
@torch.no_grad()
def test_a_hint_is_read(kind: str) -> None:
    policy = make_policy(kind)
    previous, holes = make_programs(1, 4)
    prompts = make_prompts([0], (6,))
    hinted = prompts._replace(sources_PW=torch.tensor([[0, 0, 0, 1, 1, 1]]))
    difference = policy.sequence(prompts, previous, holes) - policy.sequence(hinted, previous, holes)
    assert difference.abs().max() > 1e-4


@every_kind
def test_every_weight_that_is_used_gets_a_gradient(kind: str) -> None:
    policy = make_policy(kind)
    previous, holes = make_programs(6, 9)
    torch.autograd.backward(policy.sequence(make_prompts([0, 0, 1, 2, 2, 2]), previous, holes).square().sum())
    without = [name for name, weight in policy.named_parameters() if weight.grad is None]
    assert without == []


@every_kind
def test_a_policy_comes_back_from_its_checkpoint(kind: str, tmp_path: Path) -> None:
    policy, other = make_policy(kind), make_policy(kind, seed=1)
    path, digest = checkpoint.write(tmp_path, 1, policy, Adam(policy.parameters(), 1e-3), extra={})
    checkpoint.read(path, digest, other, Adam(other.parameters(), 1e-3))
    previous, holes = make_programs(2, 6)
    with torch.no_grad():
        said, again = (each.sequence(make_prompts([0, 1]), previous, holes) for each in (policy, other))
    assert torch.equal(said, again)


@every_kind
def test_the_first_policy_is_uniform(kind: str) -> None:
    student = Student(Settings(policy=KINDS[kind]), seed=0)
    previous, holes = make_programs(2, 6)
    with torch.no_grad():
        logits = student.policy.sequence(make_prompts([0, 1]), previous, holes)
    assert torch.equal(logits, torch.zeros_like(logits))


@every_kind
def test_the_trained_log_probability_is_the_sampled_one(kind: str) -> None:
    settings = Settings(policy=KINDS[kind], generation=GenerationSettings(temperature=1.3, require_boost=4.0))
    student = Student(settings, seed=1)
    torch.nn.init.normal_(student.policy.get_parameter("head.weight"), std=0.3)
    tasks = [
        task_of(params=("num", "list"), constraints=Constraints(max_tokens=30, require_operators=("+",))),
        msgspec.structs.replace(task_of(kind=Kind.STDOUT, numbers=(5, 3)), id="t/sum", name="sum"),
    ]
    plans = tuple(
        GroupPlan(group=place, task=task, size=32, first_number=1 + 32 * place)
        for place, task in enumerate(tasks)
    )
    of_id = {task.id: task for task in tasks}
    samples = [
        Sample(task=of_id[a.task_id], tokens=a.tokens, logps=a.logps, rl=(1.0,) * len(a.tokens))
        for a in student.generate(Generate(plans=plans)).attempts
        if a.arm is Arm.POLICY
    ]
    batch = collate(samples, settings.policy.reading, settings.generation)
    with torch.no_grad():
        trained = student._trainer.log_probabilities(batch).gather(2, batch.tokens_NT.unsqueeze(2)).squeeze(2)
    assert len(samples) > 20
    assert ((trained - batch.old_logps_NT) * batch.mask_NT).abs().max() < 1e-5


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_a_student_of_any_kind_goes_on_from_where_it_was_saved(kind: str, tmp_path: Path) -> None:
    settings = Settings(policy=KINDS[kind])
    plan = GroupPlan(group=1, task=task_of(params=("num",)), size=8, first_number=1)
    student, other = Student(settings, seed=1), Student(settings, seed=2)
    saved = student.save(Save(folder=str(tmp_path)))
    other.restore(CheckpointFile(path=saved.path, sha256=saved.sha256))
    assert student.generate(Generate(plans=(plan,))) == other.generate(Generate(plans=(plan,)))


@pytest.mark.parametrize("kind", ["lstm", "transformer"])
def test_programs_longer_than_the_window_are_refused_with_what_to_do(kind: str) -> None:
    policy = make_policy(kind)
    with pytest.raises(PolicyError, match=r"allows 49 tokens, policy\.window holds 48: enlarge it"):
        policy.begin(make_prompts([0]), 49)


@pytest.mark.parametrize("settings", [LstmPolicy, TransformerPolicy])
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"width": 64, "heads": 5}, "heads 5 do not divide width 64"),
        ({"width": 33, "heads": 3}, "positions 'sinusoidal' need an even width, not 33"),
        ({"initial": "glorot"}, "'xavier', 'kaiming' or 'orthogonal'"),
        ({"size": "huge"}, "'base' or 'large'"),
    ],
)
def test_sizes_that_do_not_fit_together_are_refused(
    settings: type[LstmPolicy | TransformerPolicy], given: dict[str, object], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        settings.model_validate(given)


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ({}, (128, 2, 2)),
        ({"size": "tiny"}, (64, 2, 2)),
        ({"size": "base"}, (256, 4, 4)),
        ({"size": "large", "layers": 3}, (512, 3, 8)),
        ({"width": 300}, (300, 4, 4)),
        ({"width": 90}, (90, 2, 2)),
        ({"heads": 5}, (130, 2, 5)),
    ],
)
def test_a_size_fills_in_what_is_not_given(given: dict[str, object], shape: tuple[int, int, int]) -> None:
    assert TransformerPolicy.model_validate(given).shape == shape


def test_a_size_that_decides_nothing_is_told() -> None:
    idle = LstmPolicy(size="tiny", width=64, layers=1, heads=1).ineffective(frozenset({"size"}))
    assert idle == {"size": "while width, layers and heads are all given"}


def test_a_description_that_is_too_long_is_cut_and_counted() -> None:
    settings = Settings(policy=LstmPolicy(width=24, heads=2, description_words=20))
    long = msgspec.structs.replace(task_of(params=("num",)), description="word " * 10_000)
    plan = GroupPlan(group=1, task=long, size=4, first_number=1)
    student = Student(settings, seed=0)
    assert student.generate(Generate(plans=(plan, plan))).metrics["cut_texts"] == 1
    assert student._sampler.cuts == {
        "description of t/task: only the first 20 words are read, by policy.description_words"
    }
