"""Samples to padded tensors: N samples, T tokens, V abstract tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from altlas_agent.core.records import Arm, Conditions, Group, Sample
from altlas_agent.generation.constrained import grammar_for, trace
from altlas_agent.generation.prompts import encode
from altlas_agent.generation.shaping.pushes import pushed
from altlas_agent.generation.shaping.whole import whole
from altlas_agent.generation.strategy.choosing import plain
from altlas_agent.learning.token_weights import blamed
from altlas_agent.policies.tensors import from_array

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from altlas_agent.core.records import Task
    from altlas_agent.learning.algorithms.base import Row
    from altlas_agent.policies.base import Prompts
    from altlas_agent.settings.generation import GenerationSettings
    from altlas_agent.settings.policies import Reading


class Batch(NamedTuple):
    """What one optimiser step sees. `bias_NTV` is all that was added to the heated logits of each program: the
    grammar's mask, what was cut, and what was pushed, divided by its temperature `heat_N11`.
    """

    prompts: Prompts
    previous_NT: Tensor
    holes_NT: Tensor
    tokens_NT: Tensor
    heat_N11: Tensor
    bias_NTV: Tensor
    old_logps_NT: Tensor
    rl_NT: Tensor
    ce_NT: Tensor
    mask_NT: Tensor


def unknown(group: Group, known: Mapping[int, Conditions]) -> str:
    """Why a group cannot be learned from: what its attempts were drawn under is not known any more; else ""."""
    lost = [
        judged.attempt.number
        for judged in group.judged
        if judged.attempt.arm is Arm.POLICY and judged.attempt.number not in known
    ]
    return f"it is not known any more which tokens attempt {lost[0]} was drawn from" if lost else ""


def from_group(
    group: Group, advantages: tuple[Row, ...], blame: float, known: Mapping[int, Conditions]
) -> list[Sample]:
    """One sample for each attempt that an algorithm gave an advantage; `blame` is how much the blamed tokens bear.

    `known` has what attempts were drawn under, by number; without it they count as drawn plainly.
    """
    return [
        Sample(
            task=group.plan.task,
            tokens=judged.attempt.tokens,
            logps=judged.attempt.logps,
            rl=blamed(row, judged.feedback, blame),
            conditions=known.get(judged.attempt.number),
            beside=group.plan.beside,
        )
        for judged, row in zip(group.judged, advantages, strict=True)
        if any(row)
    ]


def collate(samples: Sequence[Sample], reading: Reading, generation: GenerationSettings) -> Batch:
    """Pad to the longest sample. The walk through the grammar is the one the sampler took."""
    tasks = {sample.task.id: sample.task for sample in samples}
    grammars = {task_id: grammar_for(task) for task_id, task in tasks.items()}
    usual = Conditions(strategy=plain(generation.require_boost, generation.temperature))
    conditions = [sample.conditions or usual for sample in samples]
    traces = [trace(grammars[sample.task.id], sample.tokens) for sample in samples]
    asked = list(dict.fromkeys((sample.task.id, sample.beside) for sample in samples))
    places = {prompt: place for place, prompt in enumerate(asked)}
    longest = max(len(sample.tokens) for sample in samples)
    bias_NTV = np.zeros((len(samples), longest, traces[0].masks_TV.shape[1]), dtype=np.float32)
    heated = _Heated()
    for row, (sample, each, walked) in enumerate(zip(samples, conditions, traces, strict=True)):
        bias_NTV[row, : len(sample.tokens)] = whole(
            each, sample.tokens, walked.masks_TV, heated.of(sample.task, each)
        )
    return Batch(
        prompts=encode(
            [tasks[task_id] for task_id, _ in asked],
            [places[s.task.id, s.beside] for s in samples],
            reading,
            [beside for _, beside in asked],
        ),
        previous_NT=_pad([t.previous_T for t in traces], longest).long(),
        holes_NT=_pad([t.holes_T for t in traces], longest).long(),
        tokens_NT=_pad([s.tokens for s in samples], longest).long(),
        heat_N11=torch.tensor([[[each.strategy.temperature]] for each in conditions]),
        bias_NTV=from_array(bias_NTV),
        old_logps_NT=_pad([s.logps for s in samples], longest),
        rl_NT=_pad([s.rl for s in samples], longest),
        ce_NT=_pad([s.ce for s in samples], longest),
        mask_NT=_pad([(1.0,) * len(s.tokens) for s in samples], longest),
    )


class _Heated:
    """What is pushed, divided by the temperature: made once for all samples that share it."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, bytes, float, float], NDArray[np.float32]] = {}

    def of(self, task: Task, conditions: Conditions) -> NDArray[np.float32]:
        strategy = conditions.strategy
        key = (task.id, conditions.pushes, strategy.boost, strategy.temperature)
        if key not in self._made:
            self._made[key] = (pushed(task, conditions) / strategy.temperature).numpy()
        return self._made[key]


def _pad(rows: Sequence[Sequence[float]], longest: int) -> Tensor:
    return torch.tensor([[*row, *[0.0] * (longest - len(row))] for row in rows], dtype=torch.float32)
