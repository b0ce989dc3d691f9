"""Draws programs token by token, many at once: temperature, grammar mask, boosts and arms."""

from __future__ import annotations

import logging
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import torch

from altlas_agent.core.records import Arm
from altlas_agent.generation.base import Row, Written
from altlas_agent.generation.constrained import HOLE_NUMBER, boost, grammar_for, masks_of
from altlas_agent.generation.prompts import encode
from altlas_agent.languages.tokens.grammar import Derivation
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.policies.tensors import as_floats, as_integers, from_array

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Generator, Tensor

    from altlas_agent.policies.base import Policy
    from altlas_agent.settings.generation import GenerationSettings
    from altlas_agent.settings.policies import Reading

# How the grammar arm divides its chances: half to finish a hole, half to open more, and what the task
# itself brings (its literals, arguments and variables) before constants.
_FINISHING_SHARE = 0.55
_OWN_WEIGHT = 4.0
_OWN = ("NUM_", "STR_", "ARG_", "VAR_")


_log = logging.getLogger(__name__)


class _Walk:
    """One program on its way through the grammar, with what was drawn so far; free of the policy or not."""

    __slots__ = ("derivation", "is_free", "logps", "tokens")

    def __init__(self, derivation: Derivation, *, is_free: bool) -> None:
        self.derivation = derivation
        self.is_free = is_free
        self.tokens: list[int] = []
        self.logps: list[float] = []


class Sampler:
    """Writes rows with one policy. `generator` holds the random state, so a seed gives the same programs."""

    def __init__(
        self, policy: Policy, settings: GenerationSettings, reading: Reading, generator: Generator
    ) -> None:
        self.settings = settings
        """May be replaced between two calls."""
        self.cuts: set[str] = set()
        """What of the prompts was too long to be read, a sentence each."""
        self._policy = policy
        self._reading = reading
        self._generator = generator

    @torch.no_grad()
    def write(self, rows: Sequence[Row]) -> list[Written]:
        """One complete program per row, in order."""
        asked = {row.prompt: row for row in rows}
        tasks, beside = [row.task for row in asked.values()], [row.beside for row in asked.values()]
        places = {prompt: place for place, prompt in enumerate(asked)}
        prompts = encode(tasks, [places[row.prompt] for row in rows], self._reading, beside)
        self._tell(prompts.cuts)
        writing = self._policy.begin(prompts, max(task.constraints.max_tokens for task in tasks))
        boosts_PV = torch.stack([boost(task, self.settings.require_boost) for task in tasks])
        boosts_BV = boosts_PV[prompts.rows_B]
        heat_B1 = torch.tensor([[self._temperature(row.arm)] for row in rows])
        grammars = [grammar_for(task) for task in tasks]
        walks = [
            _Walk(Derivation(grammars[places[row.prompt]]), is_free=row.arm is Arm.GRAMMAR) for row in rows
        ]
        previous_B = torch.full((len(rows),), len(vocabulary()))
        active = walks
        while active:
            holes_B = torch.tensor([HOLE_NUMBER[walk.derivation.hole] for walk in active])
            logits_BV = writing.step(previous_B, holes_B)
            masks_BV = from_array(masks_of([walk.derivation.choice().number for walk in active]))
            _give_priors(active, logits_BV)
            previous_B, logps_B = self._draw((logits_BV + boosts_BV).div_(heat_B1).add_(masks_BV))
            kept = _advance(active, as_integers(previous_B), as_floats(logps_B))
            if len(kept) < len(active):
                active = [active[place] for place in kept]
                keep = torch.tensor(kept, dtype=torch.long)
                writing.keep(keep)
                boosts_BV, heat_B1, previous_B = boosts_BV[keep], heat_B1[keep], previous_B[keep]
        return [Written(tuple(walk.tokens), tuple(walk.logps)) for walk in walks]

    def _tell(self, cuts: Sequence[str]) -> None:
        for cut in set(cuts) - self.cuts:
            _log.warning("%s", cut)
        self.cuts.update(cuts)

    def _temperature(self, arm: Arm) -> float:
        temperatures = {
            Arm.POLICY: self.settings.temperature,
            Arm.FLAT: self.settings.flat_temperature,
            Arm.GRAMMAR: 1.0,
        }
        return temperatures[arm]

    def _draw(self, logits_BV: Tensor) -> tuple[Tensor, Tensor]:
        """Gumbel argmax: the same distribution as softmax and multinomial, at a third of the cost."""
        uniform_BV = torch.rand(logits_BV.shape, generator=self._generator).clamp_(1e-9, 1.0 - 1e-7)
        tokens_B = (logits_BV - uniform_BV.log_().neg_().log_()).argmax(-1)
        return tokens_B, logits_BV.log_softmax(-1).gather(1, tokens_B.unsqueeze(1)).squeeze(1)


def drawn_from_grammar(derivation: Derivation, rng: random.Random) -> int:
    """One token as the grammar arm draws it, without a policy and without boosts."""
    options = derivation.options()
    prior_V = _prior(tuple((token, not holes) for token, holes in options.items()))
    tokens = list(options)
    return rng.choices(tokens, np.exp(prior_V[tokens], dtype=np.float64).tolist())[0]


def _give_priors(active: Sequence[_Walk], logits_BV: Tensor) -> None:
    """Put the logits of the grammar arm where the grammar draws without the policy."""
    for place, walk in enumerate(active):
        if walk.is_free:
            options = walk.derivation.options()
            prior_V = _prior(tuple((token, not holes) for token, holes in options.items()))
            logits_BV[place] = from_array(prior_V)


def _advance(active: Sequence[_Walk], drawn_B: Sequence[int], logps_B: Sequence[float]) -> list[int]:
    """Write the drawn tokens; give the places in `active` of the programs that go on."""
    kept: list[int] = []
    for place, (walk, token, logp) in enumerate(zip(active, drawn_B, logps_B, strict=True)):
        walk.tokens.append(token)
        walk.logps.append(logp)
        walk.derivation.advance(token)
        if not walk.derivation.done:
            kept.append(place)
    return kept


@lru_cache(maxsize=65_536)
def _prior(options: tuple[tuple[int, bool], ...]) -> NDArray[np.float32]:
    """(V,) log chances of the grammar arm for a set of options (token, whether it finishes the hole)."""
    words = vocabulary()
    weights = np.zeros(len(words), dtype=np.float64)
    for token, _ in options:
        weights[token] = _OWN_WEIGHT if words.tokens[token].name.startswith(_OWN) else 1.0
    finishing = [token for token, finishes in options if finishes]
    opening = [token for token, finishes in options if not finishes]
    if finishing and opening:
        weights[finishing] *= _FINISHING_SHARE / weights[finishing].sum()
        weights[opening] *= (1.0 - _FINISHING_SHARE) / weights[opening].sum()
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(weights), -60.0).astype(np.float32)
