"""Beam search: the likeliest programs of a policy, several for each task, all tasks side by side.

Every step goes on with the `width` likeliest beginnings of each task, complete programs are set aside, and the
grammar sees to it that each beginning ends. It draws nothing: the same policy gives the same programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from altlas_agent.generation.constrained import HOLE_NUMBER
from altlas_agent.generation.masks import FORBIDDEN, masks_of
from altlas_agent.generation.sampling import refuse_sick
from altlas_agent.generation.shaping.logits import shaped
from altlas_agent.languages.tokens.grammar import Derivation
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.policies.tensors import as_floats, as_integers, from_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from altlas_agent.generation.base import Row
    from altlas_agent.generation.sampling import Sampler


class _Beginning(NamedTuple):
    """A program so far: whose it is, what was written, and its log-probability."""

    row: int
    derivation: Derivation
    tokens: tuple[int, ...]
    logp: float


class _Step(NamedTuple):
    """The beginnings of the next step, and from which of this one each comes."""

    beginnings: list[_Beginning]
    parents: list[int]


@torch.no_grad()
def beam(
    sampler: Sampler, rows: Sequence[Row], *, width: int, length_power: float
) -> list[list[tuple[int, ...]]]:
    """At most `width` different complete programs for each row, the best first.

    Compared by log-probability over length to `length_power`. Raises PolicyError as the sampler does.
    """
    opening = sampler.open(rows)
    writing, heat_R1 = (
        opening.writing,
        torch.tensor([[each.strategy.temperature] for each in opening.conditions]),
    )
    heated_RV = opening.pushes_BV / heat_R1
    live = [_Beginning(row, Derivation(grammar), (), 0.0) for row, grammar in enumerate(opening.grammars)]
    done: list[list[_Beginning]] = [[] for _ in rows]
    while live:
        previous_H = torch.tensor([each.tokens[-1] if each.tokens else len(vocabulary()) for each in live])
        logits_HV = writing.step(previous_H, torch.tensor([HOLE_NUMBER[e.derivation.hole] for e in live]))
        refuse_sick(logits_HV)
        of_H = torch.tensor([each.row for each in live])
        masks_HV = from_array(masks_of([each.derivation.choice() for each in live]))
        logps_HV = shaped(logits_HV, heat_R1[of_H], heated_RV[of_H] + masks_HV).log_softmax(-1)
        step = _advanced(live, logps_HV, width, done)
        live = step.beginnings
        if live:
            writing.keep(torch.tensor(step.parents))

    def rank(each: _Beginning) -> tuple[float, tuple[int, ...]]:
        return -each.logp / len(each.tokens) ** length_power, each.tokens

    return [[each.tokens for each in sorted(found, key=rank)[:width]] for found in done]


def _advanced(
    live: Sequence[_Beginning], logps_HV: Tensor, width: int, done: list[list[_Beginning]]
) -> _Step:
    """The likeliest ways on, for each row; what is complete goes to `done`."""
    totals_HV = logps_HV + torch.tensor([[each.logp] for each in live])
    beginnings: list[_Beginning] = []
    parents: list[int] = []
    first = 0
    while first < len(live):
        row, last = live[first].row, first
        while last < len(live) and live[last].row == row:
            last += 1
        found = totals_HV[first:last].flatten().topk(min(width, (last - first) * totals_HV.shape[1]))
        for total, place in zip(as_floats(found.values), as_integers(found.indices), strict=True):
            if total <= FORBIDDEN / 2:
                break
            parent, token = first + place // totals_HV.shape[1], place % totals_HV.shape[1]
            grown = _grown(live[parent], token, total)
            if grown.derivation.done:
                done[row].append(grown)
            else:
                beginnings.append(grown)
                parents.append(parent)
        first = last
    return _Step(beginnings, parents)


def _grown(beginning: _Beginning, token: int, logp: float) -> _Beginning:
    derivation = beginning.derivation.copy()
    derivation.advance(token)
    return beginning._replace(derivation=derivation, tokens=(*beginning.tokens, token), logp=logp)
