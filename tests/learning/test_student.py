"""The student: what is trained is what was sampled, and a seed gives the same student."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import torch

from altlas_agent.core.errors import AltlasError
from altlas_agent.core.records import (
    Arm,
    Constraints,
    Group,
    GroupPlan,
    Guidance,
    Judged,
    Kind,
    Outcome,
    Sample,
    Score,
    Status,
    Task,
)
from altlas_agent.core.requests import Generate, Generated, Learn, Learned, Save
from altlas_agent.generation.constrained import grammar_for, trace
from altlas_agent.languages.tokens.grammar import check
from altlas_agent.learning.samples import collate
from altlas_agent.learning.student import Student
from altlas_agent.policies import checkpoint
from altlas_agent.settings.generation import GenerationSettings
from altlas_agent.settings.learning import LearningSettings
from altlas_agent.settings.policies import RecurrentPolicy
from altlas_agent.settings.run import Settings
from tests.languages.programs import task_of

SETTINGS = Settings(
    policy=RecurrentPolicy(hidden=24, embedding=12),
    generation=GenerationSettings(temperature=1.3, require_boost=4.0),
)
TASK = task_of(
    params=("num", "list"),
    constraints=Constraints(max_tokens=14, require_operators=("+",), require_numbers=(5,)),
)
SUM = msgspec.structs.replace(
    task_of(kind=Kind.STDOUT, numbers=(5, 3), constraints=Constraints(max_tokens=8)),
    id="t/sum",
    name="sum",
    description="Print the sum of 5 and 3.",
)


def generate(student: Student, task: Task, *, size: int = 16, first: int = 1) -> Generated:
    return student.generate(
        Generate(plans=(GroupPlan(group=first, task=task, size=size, first_number=first),))
    )


def learn(student: Student, task: Task, made: Generated, *, good: str) -> Learned:
    """Reward the programs whose text contains `good`."""
    judged = tuple(
        Judged(
            attempt=attempt,
            outcome=Outcome(status=Status.SUCCESS),
            score=Score(value=float(good in attempt.code), parts={}, solved=good in attempt.code),
        )
        for attempt in made.attempts
    )
    plan = GroupPlan(
        group=made.attempts[0].group, task=task, size=len(judged), first_number=made.attempts[0].number
    )
    return student.learn(Learn(groups=(Group(plan=plan, judged=judged),)))


def test_the_trained_log_probability_is_the_sampled_one() -> None:
    student = Student(SETTINGS, seed=1)
    for _ in range(3):  # moved away from the uniform start
        made = generate(student, SUM, first=1)
        learn(student, SUM, made, good="5")
    attempts = [a for a in generate(student, TASK, size=64).attempts if a.arm is Arm.POLICY]
    samples = [Sample(task=TASK, tokens=a.tokens, logps=a.logps, rl=(1.0,) * len(a.tokens)) for a in attempts]
    batch = collate(samples, SETTINGS.policy.reading, SETTINGS.generation)
    with torch.no_grad():
        trained = student._trainer.log_probabilities(batch).gather(2, batch.tokens_NT.unsqueeze(2)).squeeze(2)
    difference = ((trained - batch.old_logps_NT) * batch.mask_NT).abs().max()
    assert len(samples) > 20
    assert float(difference) < 1e-5


def test_every_attempt_is_a_whole_program_of_the_grammar() -> None:
    for attempt in generate(Student(SETTINGS, seed=2), TASK, size=64).attempts:
        check(TASK, attempt.tokens)
        assert len(attempt.logps) == len(attempt.tokens)
        assert all(logp <= 1e-6 for logp in attempt.logps)


def test_the_arms_have_their_shares() -> None:
    settings = SETTINGS.model_copy(update={"generation": GenerationSettings(adapt_arms=False)})
    student = Student(settings, seed=0)
    learn(student, SUM, generate(student, SUM), good="never there")
    arms = [attempt.arm for attempt in generate(student, SUM, size=16).attempts]
    own = [Arm.POLICY] * 8
    assert arms == own + [Arm.FLAT] * 2 + [Arm.GRAMMAR] * 2 + [Arm.SEARCH] * 2 + [Arm.MUTATE] * 2


def test_guidance_changes_how_many_attempts_explore_and_by_which_arms() -> None:
    settings = SETTINGS.model_copy(update={"generation": GenerationSettings(adapt_arms=False)})
    student = Student(settings, seed=0)
    guidance = Guidance(share=1.5, arms={"search": 0.0, "mutate": 0.0, "flat": 2.0})
    plan = GroupPlan(group=1, task=SUM, size=16, first_number=1, guidance=guidance)
    arms = [attempt.arm for attempt in student.generate(Generate(plans=(plan,))).attempts]
    assert arms == [Arm.POLICY] * 4 + [Arm.FLAT] * 8 + [Arm.GRAMMAR] * 4


def test_without_a_near_miss_the_grammar_writes_and_says_so() -> None:
    settings = SETTINGS.model_copy(update={"generation": GenerationSettings(adapt_arms=False)})
    arms = [attempt.arm for attempt in generate(Student(settings, seed=0), TASK, size=16).attempts]
    assert Arm.MUTATE not in arms
    assert arms.count(Arm.GRAMMAR) >= 4


def test_the_same_seed_writes_and_learns_the_same() -> None:
    def run() -> tuple[list[tuple[int, ...]], float]:
        student = Student(SETTINGS, seed=5)
        made = generate(student, SUM)
        figures = learn(student, SUM, made, good="5").metrics
        return [a.tokens for a in generate(student, SUM, first=17).attempts], figures["entropy"]

    assert run() == run()


def test_different_seeds_write_differently() -> None:
    first, second = (generate(Student(SETTINGS, seed=s), TASK).attempts for s in (0, 1))
    assert [a.tokens for a in first] != [a.tokens for a in second]


def test_rewarded_programs_become_likelier() -> None:
    student = Student(SETTINGS.model_copy(update={"learning": LearningSettings(learning_rate=0.01)}), seed=3)
    shares: list[float] = []
    for step in range(60):
        made = generate(student, SUM, size=32, first=1 + 32 * step)
        own = [a for a in made.attempts if a.arm is Arm.POLICY]
        shares.append(sum("5 + 3" in a.code for a in own) / len(own))
        learn(student, SUM, made, good="5 + 3")
    assert sum(shares[-5:]) / 5 > 0.5
    assert shares[0] < 0.2


def test_exploration_does_not_propose_a_program_twice_for_a_task() -> None:
    student = Student(
        Settings(
            generation=GenerationSettings(
                flat_share=0, grammar_share=1.0, search_share=0, mutate_share=0, fresh_tries=20
            )
        ),
        seed=0,
    )
    programs = [a.tokens for step in range(3) for a in generate(student, SUM, first=1 + 16 * step).attempts]
    assert len(set(programs)) == len(programs)


def test_a_group_that_teaches_nothing_is_dropped_with_its_reason() -> None:
    student = Student(SETTINGS, seed=0)
    made = generate(student, SUM)
    learned = learn(student, SUM, made, good="never there")
    assert learned.dropped == {1: "nobody passed more tests than another"}
    assert learned.version == 1


def test_a_checkpoint_brings_back_the_very_weights(tmp_path: Path) -> None:
    student, other = Student(SETTINGS, seed=1), Student(SETTINGS, seed=2)
    learn(student, SUM, generate(student, SUM), good="5")
    saved = student.save(Save(folder=str(tmp_path)))
    checkpoint.read(Path(saved.path), saved.sha256, other.policy, other._trainer.optimiser)
    pairs = zip(student.policy.state_dict().values(), other.policy.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_a_flipped_byte_in_a_checkpoint_is_found(tmp_path: Path) -> None:
    student = Student(SETTINGS, seed=1)
    saved = student.save(Save(folder=str(tmp_path)))
    path = Path(saved.path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(AltlasError, match="is damaged"):
        checkpoint.read(path, saved.sha256, student.policy, student._trainer.optimiser)


def test_weights_that_are_not_finite_are_never_checkpointed(tmp_path: Path) -> None:
    student = Student(SETTINGS, seed=1)
    with torch.no_grad():
        next(student.policy.parameters()).fill_(float("nan"))
    with pytest.raises(AltlasError, match="NaN"):
        student.save(Save(folder=str(tmp_path)))


def test_a_walk_through_the_grammar_refuses_foreign_tokens() -> None:
    with pytest.raises(AltlasError, match="cannot fill"):
        trace(grammar_for(SUM), (0, 1, 2))
