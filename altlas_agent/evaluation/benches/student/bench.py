"""The student: tokens and learning steps for each CPU second, against what the machine can multiply at best.

Every round measures the roofline first, single-precision products of the sizes that a policy takes, and then
everything else; a share is of the roofline of its own round. Writing counts the reading of the prompts and plain
draws of tokens; the sampler with grammar, masks and boosts is a figure of its own. One thread, as in a run.

    measure            ratio is                                                    bar
    *_write_128        useful operations a second, of the roofline's              0.40, transformer 0.25
    *_update           the same of a learning step                                 0.40
    *_batch_N          tokens a second with N programs at once, of those with one  8 from 128 on
    *_sampler          CPU for a token as settings come, of that with plain draws  at most 1.30
    *_shaped           the same with every part of the shaping on                  at most 1.30
    *_neighbours       tokens a second beside two busy processes, of those alone   0.45
    attempts           attempts a CPU second of whole runs, beside programs that   150
                       are only started
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

import torch

from altlas_agent.evaluation.benches.measures import Bench, Measure, at_least, faster, share
from altlas_agent.evaluation.benches.student import products, timing, whole
from altlas_agent.evaluation.benches.student.timing import Subject, work_of
from altlas_agent.settings.generation import GenerationSettings
from altlas_agent.settings.policies import LstmPolicy, RecurrentPolicy, TransformerPolicy
from altlas_agent.settings.policies import Policy as PolicySettings
from altlas_agent.tasks.loader import load_suite

SUBJECTS: dict[str, PolicySettings] = {
    "recurrent": RecurrentPolicy(),
    "lstm": LstmPolicy(size="base"),
    "transformer": TransformerPolicy(size="base"),
}
"""The default policy as it is, and the two others 256 wide."""

WRITE_BARS = {"recurrent": 0.40, "lstm": 0.40, "transformer": 0.25}
UPDATE_BAR, BATCH_BAR, SAMPLER_BAR, NEIGHBOURS_BAR = 0.40, 8.0, 1.30, 0.45
ATTEMPTS_BAR = 150.0
BATCHES = (8, 32, 128, 256)
FULL = 128
TASKS = 8


@dataclass(frozen=True)
class Round:
    """What one policy did in one round; rates are tokens a CPU second, ideal ones are those of the roofline."""

    rates: dict[int, float]
    ideal: float
    steps: float
    ideal_steps: float
    sampling: timing.Sampling
    shaped: timing.Sampling
    alone: float
    beside: float


def bench(*, rounds: int) -> Bench:
    """Leaves torch with one thread."""
    torch.set_num_threads(1)
    subjects = {name: Subject.of(settings) for name, settings in SUBJECTS.items()}
    found: dict[str, list[Round]] = {name: [] for name in subjects}
    for _ in range(rounds + 1):
        for name, subject in subjects.items():
            found[name].append(_round(subject))
    runs = [whole.rates(seed) for seed in range(rounds)]
    return Bench(
        bench="student",
        measures=(
            *(measure for name in subjects for measure in _measures(name, found[name][1:])),
            at_least(
                "attempts",
                median(each.run for each in runs),
                median(each.plain for each in runs),
                unit="1/cpu-s",
                bar=ATTEMPTS_BAR,
            ),
        ),
    )


def _round(subject: Subject) -> Round:
    settings, policy = subject
    best, full, samples = timing.roofline(), work_of(FULL), work_of(timing.SAMPLES)
    tokens = FULL * timing.TOKENS
    rates = {
        batch: batch * timing.TOKENS / timing.writing_s(policy, work_of(batch)) for batch in (1, *BATCHES)
    }
    steps = 1 / timing.learning_s(policy, samples)
    tasks = [entry.instance() for entry in load_suite("quickstart").entries[:TASKS]]
    sampling = timing.sampling(subject, tasks, GenerationSettings())
    shaped = timing.sampling(subject, tasks, timing.EVERYTHING)
    alone = tokens / timing.wall_s(policy, full)
    with timing.neighbours():
        beside = tokens / timing.wall_s(policy, full)
    return Round(
        rates=rates,
        ideal=tokens * best / products.writing(settings, full),
        steps=steps,
        ideal_steps=best / products.learning(settings, samples),
        sampling=sampling,
        shaped=shaped,
        alone=alone,
        beside=beside,
    )


def _measures(name: str, rounds: list[Round]) -> list[Measure]:
    write, update = (
        faster(
            f"{name}_{what}",
            median(value for value, _ in pairs),
            median(ideal for _, ideal in pairs),
            unit=unit,
            bar=bar,
            ratio=median(value / ideal for value, ideal in pairs),
        )
        for what, unit, bar, pairs in (
            (f"write_{FULL}", "tokens/cpu-s", WRITE_BARS[name], [(r.rates[FULL], r.ideal) for r in rounds]),
            ("update", "steps/cpu-s", UPDATE_BAR, [(r.steps, r.ideal_steps) for r in rounds]),
        )
    )
    return [
        write,
        update,
        *(_batch(name, rounds, batch) for batch in BATCHES),
        _sampler(f"{name}_sampler", [each.sampling for each in rounds]),
        _sampler(f"{name}_shaped", [each.shaped for each in rounds]),
        _neighbours(name, rounds),
    ]


def _batch(name: str, rounds: list[Round], batch: int) -> Measure:
    return faster(
        f"{name}_batch_{batch}",
        median(each.rates[batch] for each in rounds),
        median(each.rates[1] for each in rounds),
        unit="tokens/cpu-s",
        bar=BATCH_BAR if batch >= FULL else 1.0,
        ratio=median(each.rates[batch] / each.rates[1] for each in rounds),
    )


def _sampler(name: str, samplings: list[timing.Sampling]) -> Measure:
    return share(
        name,
        median(each.sampler_s for each in samplings) * 1e6,
        median(each.plain_s for each in samplings) * 1e6,
        unit="us/token",
        bar=SAMPLER_BAR,
    )


def _neighbours(name: str, rounds: list[Round]) -> Measure:
    return faster(
        f"{name}_neighbours",
        median(each.beside for each in rounds),
        median(each.alone for each in rounds),
        unit="tokens/s",
        bar=NEIGHBOURS_BAR,
        ratio=median(each.beside / each.alone for each in rounds),
    )
