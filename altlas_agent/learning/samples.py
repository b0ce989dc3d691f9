"""Samples to padded tensors: N samples, T tokens, V abstract tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from altlas_agent.core.records import Group, Sample
from altlas_agent.generation.constrained import boost, grammar_for, trace
from altlas_agent.generation.prompts import encode
from altlas_agent.learning.token_weights import blamed
from altlas_agent.policies.tensors import from_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from altlas_agent.core.records import Task
    from altlas_agent.learning.algorithms.base import Row
    from altlas_agent.policies.base import Prompts
    from altlas_agent.settings.generation import GenerationSettings
    from altlas_agent.settings.policies import Reading


class Batch(NamedTuple):
    """What one optimiser step sees. `bias_NTV` is the grammar mask plus the boost divided by the temperature."""

    prompts: Prompts
    previous_NT: Tensor
    holes_NT: Tensor
    tokens_NT: Tensor
    bias_NTV: Tensor
    old_logps_NT: Tensor
    rl_NT: Tensor
    ce_NT: Tensor
    mask_NT: Tensor


def from_group(group: Group, advantages: tuple[Row, ...], blame: float) -> list[Sample]:
    """One sample for each attempt that an algorithm gave an advantage; `blame` is how much the blamed tokens bear."""
    return [
        Sample(
            task=group.plan.task,
            tokens=judged.attempt.tokens,
            logps=judged.attempt.logps,
            rl=blamed(row, judged.feedback, blame),
            beside=group.plan.beside,
        )
        for judged, row in zip(group.judged, advantages, strict=True)
        if any(row)
    ]


def collate(samples: Sequence[Sample], reading: Reading, generation: GenerationSettings) -> Batch:
    """Pad to the longest sample. The walk through the grammar is the one the sampler took."""
    tasks = {sample.task.id: sample.task for sample in samples}
    grammars = {task_id: grammar_for(task) for task_id, task in tasks.items()}
    boosts = {task_id: _heated_boost(task, generation) for task_id, task in tasks.items()}
    traces = [trace(grammars[sample.task.id], sample.tokens) for sample in samples]
    asked = list(dict.fromkeys((sample.task.id, sample.beside) for sample in samples))
    places = {prompt: place for place, prompt in enumerate(asked)}
    longest = max(len(sample.tokens) for sample in samples)
    bias_NTV = np.zeros((len(samples), longest, traces[0].masks_TV.shape[1]), dtype=np.float32)
    for row, (sample, walked) in enumerate(zip(samples, traces, strict=True)):
        bias_NTV[row, : len(sample.tokens)] = walked.masks_TV + boosts[sample.task.id]
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
        bias_NTV=from_array(bias_NTV),
        old_logps_NT=_pad([s.logps for s in samples], longest),
        rl_NT=_pad([s.rl for s in samples], longest),
        ce_NT=_pad([s.ce for s in samples], longest),
        mask_NT=_pad([(1.0,) * len(s.tokens) for s in samples], longest),
    )


def _heated_boost(task: Task, generation: GenerationSettings) -> NDArray[np.float32]:
    boosted: NDArray[np.float32] = (boost(task, generation.require_boost) / generation.temperature).numpy()
    return boosted


def _pad(rows: Sequence[Sequence[float]], longest: int) -> Tensor:
    return torch.tensor([[*row, *[0.0] * (longest - len(row))] for row in rows], dtype=torch.float32)
