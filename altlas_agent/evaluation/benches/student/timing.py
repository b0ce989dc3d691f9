"""What is timed, each in seconds of this thread's CPU: a product, a batch written, a step of learning, a sampler."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch

from altlas_agent.core.records import Beside, GroupPlan
from altlas_agent.evaluation.benches.student.products import Work
from altlas_agent.generation.base import rows_of
from altlas_agent.generation.constrained import HOLES
from altlas_agent.generation.prompts import encode
from altlas_agent.generation.sampling import Sampler
from altlas_agent.generation.strategy.strategist import Strategist
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.learning.adam import Adam
from altlas_agent.policies.base import Policy, Prompts
from altlas_agent.policies.build import build_policy
from altlas_agent.settings.drawing.searching import StopSettings
from altlas_agent.settings.drawing.shaping import BoostSettings, CutSettings, HeatSettings, PushSettings
from altlas_agent.settings.generation import GenerationSettings

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from torch import Tensor

    from altlas_agent.core.records import Task
    from altlas_agent.settings.policies import Policy as PolicySettings

TOKENS, WORDS, GROUP, SAMPLES = 24, 30, 16, 64
"""Length of the programs, words of a prompt, programs that share one, and samples of a learning step."""

PRODUCTS = ((256, 256, 1024), (512, 256, 1024), (128, 1024, 256))
"""Sizes (m, k, n) of which the fastest is the roofline."""

HOGS = 2


class Subject(NamedTuple):
    """A policy that is measured."""

    settings: PolicySettings
    policy: Policy

    @classmethod
    def of(cls, settings: PolicySettings) -> Subject:
        """With weights that make some tokens likelier than others."""
        torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType] - torch leaves it untyped
        policy = build_policy(settings, len(vocabulary()), len(HOLES))
        torch.nn.init.normal_(policy.get_parameter("head.weight"), std=0.05)
        return cls(settings, policy)


def work_of(programs: int) -> Work:
    """A batch of so many programs in groups."""
    return Work(programs, TOKENS, -(-programs // GROUP), WORDS, len(vocabulary()), len(HOLES))


def roofline() -> float:
    """Floating-point operations that a CPU second of this thread gives at best, in plain products."""
    return max(_product(*sizes) for sizes in PRODUCTS)


def _product(m: int, k: int, n: int) -> float:
    left_MK, right_KN, made_MN = torch.randn(m, k), torch.randn(k, n), torch.empty(m, n)
    times: list[float] = []
    for _ in range(12):
        began = time.thread_time()
        for _ in range(8):
            torch.mm(left_MK, right_KN, out=made_MN)
        times.append((time.thread_time() - began) / 8)
    return 2.0 * m * k * n / min(times)


def writing_s(policy: Policy, work: Work) -> float:
    """Read the prompts, write whole programs and draw every token, without a grammar."""
    prompts = _prompts(work)
    began = time.thread_time()
    drawn(policy, prompts, [work.tokens] * work.programs)
    return time.thread_time() - began


@torch.no_grad()
def drawn(policy: Policy, prompts: Prompts, lengths: Sequence[int]) -> None:
    """Plain sampling: programs of these lengths, token after token, with their log-probabilities."""
    writing = policy.begin(prompts, max(lengths))
    previous_B = torch.full((len(lengths),), len(vocabulary()))
    left, holes_B = list(lengths), torch.zeros(len(lengths), dtype=torch.long)
    for step in range(max(lengths)):
        logits_BV = writing.step(previous_B, holes_B)
        uniform_BV = torch.rand(logits_BV.shape).clamp_(1e-9, 1.0 - 1e-7)
        previous_B = (logits_BV - uniform_BV.log_().neg_().log_()).argmax(-1)
        logits_BV.log_softmax(-1).gather(1, previous_B.unsqueeze(1))
        kept = [place for place, length in enumerate(left) if length > step + 1]
        if 0 < len(kept) < len(left):
            rows = torch.tensor(kept)
            writing.keep(rows)
            left, previous_B, holes_B = [left[place] for place in kept], previous_B[rows], holes_B[rows]


def learning_s(policy: Policy, work: Work) -> float:
    """One step: forward, backward, clipping, and the optimiser."""
    prompts, optimiser = _prompts(work), Adam(policy.parameters(), 1e-4)
    tokens_BT = torch.randint(work.vocabulary, (work.programs, work.tokens))
    holes_BT = torch.randint(work.holes, (work.programs, work.tokens))
    began = time.thread_time()
    optimiser.forget_gradients()
    chosen: Tensor = policy.sequence(prompts, tokens_BT, holes_BT).log_softmax(-1)
    torch.autograd.backward(-chosen.gather(2, tokens_BT.unsqueeze(2)).mean())
    torch.nn.utils.clip_grad_norm_(policy.parameters(), 1.0)
    optimiser.step()
    return time.thread_time() - began


class Sampling(NamedTuple):
    """Seconds for each token, with everything the sampler does and with plain draws of as many tokens."""

    sampler_s: float
    plain_s: float


EVERYTHING = GenerationSettings(
    temperature=1.2,
    heat=HeatSettings(by_score=0.3, by_repeats=0.5),
    cut=CutSettings(top_k=24, top_p=0.97, min_p=0.01),
    push=PushSettings(noise=0.3, repetition=0.2, imbalance=0.5),
    boost=BoostSettings(decay="steps", text=2.0, hint=2.0),
    stop=StopSettings(entropy=0.98, repeats=4),
)
"""Every part on at once, and none so hard that programs become much shorter."""


HINT = Beside(hint="print the sum")


def sampling(subject: Subject, tasks: Sequence[Task], generation: GenerationSettings) -> Sampling:
    """A group of on-policy programs for each task; the plain draws have the same lengths."""
    chance = torch.Generator().manual_seed(0)
    sampler = Sampler(subject.policy, generation, subject.settings.reading, chance)
    strategist = Strategist(generation, seed=0)
    plans = [
        GroupPlan(group=place, task=task, size=GROUP, first_number=1 + place * GROUP, beside=HINT)
        for place, task in enumerate(tasks)
    ]
    places = [place for place in range(len(tasks)) for _ in range(GROUP)]
    began = time.thread_time()
    rows = [
        row
        for place, plan in enumerate(plans)
        for row in strategist.conditions(plan, rows_of(plan, place, ()))
    ]
    lengths = [len(program.tokens) for program in sampler.write(rows)]
    between = time.thread_time()
    drawn(subject.policy, encode(tasks, places, subject.settings.reading), lengths)
    count = sum(lengths)
    return Sampling((between - began) / count, (time.thread_time() - between) / count)


def wall_s(policy: Policy, work: Work) -> float:
    """Seconds on the clock for a batch."""
    prompts = _prompts(work)
    began = time.perf_counter()
    drawn(policy, prompts, [work.tokens] * work.programs)
    return time.perf_counter() - began


@contextmanager
def neighbours() -> Generator[None]:
    """Processes that want a core each for as long as the block runs, and end by themselves after a minute."""
    code = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"
    hogs = [subprocess.Popen([sys.executable, "-I", "-S", "-c", code]) for _ in range(HOGS)]
    try:
        time.sleep(0.2)  # until they run
        yield
    finally:
        for hog in hogs:
            hog.kill()
            hog.wait()


def _prompts(work: Work) -> Prompts:
    words_PW = torch.randint(1, 1000, (work.prompts, work.words))
    return Prompts(words_PW, torch.arange(work.programs) // GROUP, torch.zeros_like(words_PW))
