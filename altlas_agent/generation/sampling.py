"""Draws programs token by token, many at once: each under its conditions, all within the grammar.

policy --> logits --> shaping (temperature, boosts, penalties, noise, mask, cuts) --> token --> grammar
                          ^                                                            |
                          `---------------- what was written -------------- stopping <-'
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import torch

from altlas_agent.core.errors import PolicyError
from altlas_agent.core.records import Arm, Conditions
from altlas_agent.generation.base import Row, Written
from altlas_agent.generation.constrained import HOLE_NUMBER, grammar_for
from altlas_agent.generation.masks import masks_of
from altlas_agent.generation.priors import grammar_prior
from altlas_agent.generation.prompts import encode
from altlas_agent.generation.shaping.logits import all_of, single
from altlas_agent.generation.shaping.pushes import pushed
from altlas_agent.generation.shaping.step import Shaper
from altlas_agent.generation.shaping.stopping import Stopper, closing
from altlas_agent.generation.strategy.choosing import for_arm, plain
from altlas_agent.languages.tokens.grammar import Derivation
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.policies.tensors import as_floats, as_integers, from_array

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Generator, Tensor

    from altlas_agent.languages.tokens.grammar import Grammar
    from altlas_agent.policies.base import Policy, Writing
    from altlas_agent.settings.generation import GenerationSettings
    from altlas_agent.settings.policies import Reading

_log = logging.getLogger(__name__)


class Opening(NamedTuple):
    """A batch before its first token: each row has its grammar, its conditions, and what these push."""

    writing: Writing
    grammars: list[Grammar]
    conditions: list[Conditions]
    pushes_BV: Tensor
    longest: int


class _Walk:
    """One program on its way through the grammar, with what was drawn so far; free of the policy or not.

    `stopped` is empty unless it was brought to its end early: then it says why, and `drawn` is how many tokens
    were drawn before.
    """

    __slots__ = ("derivation", "drawn", "is_free", "logps", "stopped", "tokens")

    def __init__(self, derivation: Derivation, *, is_free: bool) -> None:
        self.derivation = derivation
        self.is_free = is_free
        self.tokens: list[int] = []
        self.logps: list[float] = []
        self.stopped = ""
        self.drawn = -1

    def stop(self, reason: str) -> None:
        """End it by the cheapest tokens."""
        self.stopped, self.drawn = reason, len(self.tokens)
        closed = closing(self.derivation)
        self.tokens += closed
        self.logps += [0.0] * len(closed)


class Sampler:
    """Writes rows with one policy. `generator` holds the random state, so a seed gives the same programs."""

    def __init__(
        self, policy: Policy, settings: GenerationSettings, reading: Reading, generator: Generator
    ) -> None:
        self.settings = settings
        """May be replaced between two calls. Rows that bring their conditions do not look at it."""
        self.cuts: set[str] = set()
        """What of the prompts was too long to be read, a sentence each."""
        self._policy = policy
        self._reading = reading
        self._generator = generator

    @torch.no_grad()
    def write(self, rows: Sequence[Row]) -> list[Written]:
        """One complete program per row, in order. Raises PolicyError for logits that are not finite."""
        opening = self.open(rows)
        writing = opening.writing
        shaper = Shaper(opening.conditions, opening.pushes_BV, opening.longest)
        stopper = _stopper_of(opening.conditions)
        walks = [
            _Walk(Derivation(grammar), is_free=row.arm is Arm.GRAMMAR)
            for row, grammar in zip(rows, opening.grammars, strict=True)
        ]
        previous_B = torch.full((len(rows),), len(vocabulary()))
        active = walks
        while active:
            choices = [walk.derivation.choice() for walk in active]
            holes_B = torch.tensor([HOLE_NUMBER[walk.derivation.hole] for walk in active])
            logits_BV = writing.step(previous_B, holes_B)
            refuse_sick(logits_BV)
            _give_priors(active, logits_BV)
            shaped_BV = shaper.shaped(logits_BV, masks_of(choices))
            previous_B, logps_BV = self._draw(shaped_BV)
            tokens = as_integers(previous_B)
            shaper.wrote(tokens)
            _write(active, tokens, as_floats(logps_BV.gather(1, previous_B.unsqueeze(1)).squeeze(1)))
            if stopper is not None:
                _stop(active, stopper.wrote(logps_BV, [len(each.options) for each in choices], tokens))
            kept = [place for place, walk in enumerate(active) if not walk.derivation.done]
            if len(kept) < len(active):
                active = [active[place] for place in kept]
                keep = torch.tensor(kept, dtype=torch.long)
                writing.keep(keep)
                shaper.keep(kept)
                previous_B = previous_B[keep]
                if stopper is not None:
                    stopper.keep(kept)
        return [
            _written(walk, each, shaper, place)
            for place, (walk, each) in enumerate(zip(walks, opening.conditions, strict=True))
        ]

    def open(self, rows: Sequence[Row]) -> Opening:
        """Read the prompts of these rows; nothing is written yet. Call it without gradients."""
        asked = {row.prompt: row for row in rows}
        tasks, beside = [row.task for row in asked.values()], [row.beside for row in asked.values()]
        places = {prompt: place for place, prompt in enumerate(asked)}
        prompts = encode(tasks, [places[row.prompt] for row in rows], self._reading, beside)
        self._tell(prompts.cuts)
        longest = max(task.constraints.max_tokens for task in tasks)
        grammars = [grammar_for(task) for task in tasks]
        conditions = [row.conditions or self._plain(row.arm) for row in rows]
        return Opening(
            self._policy.begin(prompts, longest),
            [grammars[places[row.prompt]] for row in rows],
            conditions,
            _pushes(rows, conditions),
            longest,
        )

    def _tell(self, cuts: Sequence[str]) -> None:
        for cut in set(cuts) - self.cuts:
            _log.warning("%s", cut)
        self.cuts.update(cuts)

    def _plain(self, arm: Arm) -> Conditions:
        chosen = plain(self.settings.require_boost, self.settings.temperature)
        return Conditions(strategy=for_arm(arm, chosen, self.settings) or chosen)

    def _draw(self, shaped_BV: Tensor) -> tuple[Tensor, Tensor]:
        """Gumbel argmax: the same distribution as softmax and multinomial, at a third of the cost."""
        uniform_BV = torch.rand(shaped_BV.shape, generator=self._generator).clamp_(1e-9, 1.0 - 1e-7)
        tokens_B = (shaped_BV - uniform_BV.log_().neg_().log_()).argmax(-1)
        return tokens_B, shaped_BV.log_softmax(-1)


def refuse_sick(logits_BV: Tensor) -> None:
    """Raises PolicyError when one of them is not finite: nothing could be drawn from it, and nothing learned."""
    if not math.isfinite(float(logits_BV.sum())) and not bool(torch.isfinite(logits_BV).all()):
        count = int((~torch.isfinite(logits_BV)).any(1).sum())
        raise PolicyError(
            f"the policy gave logits that are not finite for {count} of {len(logits_BV)} programs: nothing was "
            "drawn; go on from an earlier checkpoint with a smaller learning.learning_rate"
        )


def _pushes(rows: Sequence[Row], conditions: Sequence[Conditions]) -> Tensor:
    """(B, V): what the conditions push, made once for all rows of a group and arm that share it."""
    made: dict[tuple[int, bytes, float], int] = {}
    pushes: list[Tensor] = []
    places: list[int] = []
    for row, each in zip(rows, conditions, strict=True):
        key = (row.prompt, each.pushes, each.strategy.boost)
        if key not in made:
            made[key] = len(pushes)
            pushes.append(pushed(row.task, each))
        places.append(made[key])
    return torch.stack(pushes)[torch.tensor(places)]


def _stopper_of(conditions: Sequence[Conditions]) -> Stopper | None:
    strategies = [each.strategy for each in conditions]
    return Stopper(strategies) if any(each.stops for each in strategies) else None


def _give_priors(active: Sequence[_Walk], logits_BV: Tensor) -> None:
    """Put the logits of the grammar arm where the grammar draws without the policy."""
    for place, walk in enumerate(active):
        if walk.is_free:
            logits_BV[place] = from_array(grammar_prior(walk.derivation.options()))


def _write(active: Sequence[_Walk], drawn_B: Sequence[int], logps_B: Sequence[float]) -> None:
    for walk, token, logp in zip(active, drawn_B, logps_B, strict=True):
        walk.tokens.append(token)
        walk.logps.append(logp)
        walk.derivation.advance(token)


def _stop(active: Sequence[_Walk], reasons: dict[int, str]) -> None:
    for place, reason in reasons.items():
        if not active[place].derivation.done:
            active[place].stop(reason)


def _written(walk: _Walk, conditions: Conditions, shaper: Shaper, place: int) -> Written:
    """With the sets that the tokens were drawn from, where the grammar alone does not say them."""
    strategy = conditions.strategy
    if walk.stopped:
        strategy = msgspec.structs.replace(strategy, stopped_at=walk.drawn, stopped_by=walk.stopped)
    if walk.stopped or strategy.cuts:
        drawn = len(walk.tokens) if walk.drawn < 0 else walk.drawn
        kept = shaper.kept(place, drawn).tobytes() if strategy.cuts else all_of(drawn, len(vocabulary()))
        data = kept + single(len(vocabulary()))[walk.tokens[drawn:]].tobytes()
        conditions = msgspec.structs.replace(conditions, strategy=strategy, kept=data)
    return Written(tuple(walk.tokens), tuple(walk.logps), conditions)
