"""Chooses the strategy of each attempt, and keeps the conditions of those that wait to be learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.clock import derive_seed
from altlas_agent.core.nouns.tracks import StrategyState
from altlas_agent.core.records import Arm, Conditions, Guidance
from altlas_agent.generation.shaping.pushes import pushes_of
from altlas_agent.generation.strategy.choosing import beam_rows, boost_left, for_arm, plain, strategy_for
from altlas_agent.generation.strategy.observing import observed
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.languages.usage.imbalance import penalties

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from altlas_agent.core.records import Attempt, Group, GroupPlan, Strategy, Task
    from altlas_agent.generation.base import Row
    from altlas_agent.settings.generation import GenerationSettings

_SEED_BITS = 2**63 - 1


class Strategist:
    """`settings` may be replaced between two calls. All its chance is `seed`."""

    def __init__(self, settings: GenerationSettings, seed: int) -> None:
        self.settings = settings
        self._seed = seed
        self._state = StrategyState()
        self._drawn: dict[int, Conditions] = {}

    def state(self) -> StrategyState:
        """To go on from later."""
        return msgspec.structs.replace(self._state, drawn=tuple(self._drawn.items()))

    def restore(self, state: StrategyState) -> None:
        """Go on from there."""
        self._state, self._drawn = msgspec.structs.replace(state, drawn=()), dict(state.drawn)

    def beam_rows(self, plan: GroupPlan) -> int:
        """How many attempts of a group a beam search makes now."""
        return beam_rows(plan, self._state, self.settings)

    def conditions(self, plan: GroupPlan, rows: Iterable[Row]) -> list[Row]:
        """The rows of a group, each with what it is drawn under."""
        chosen = strategy_for(plan, self._state, self.settings)
        made: dict[Arm, Conditions | None] = {}
        found: list[Row] = []
        for row in rows:
            if row.arm not in made:
                strategy = for_arm(row.arm, chosen, self.settings)
                guidance = plan.guidance if row.arm is Arm.FLAT else Guidance()
                made[row.arm] = self._conditions(plan, strategy, guidance)
            found.append(row._replace(conditions=self._seeded(made[row.arm], row.number)))
        return found

    def _conditions(
        self, plan: GroupPlan, strategy: Strategy | None, guidance: Guidance
    ) -> Conditions | None:
        """Guidance is for what carries no policy gradient: on-policy attempts are drawn as the policy is."""
        if strategy is None:
            return None
        heated = strategy.temperature * guidance.temperature
        strategy = msgspec.structs.replace(strategy, temperature=heated)
        held = _held(self._state, strategy, guidance)
        if held or strategy.text_boost > 1.0 or strategy.hint_boost > 1.0:
            return Conditions(
                strategy=strategy, pushes=pushes_of(plan.task, plan.beside.hint, strategy, held)
            )
        return Conditions(strategy=strategy)

    def _seeded(self, conditions: Conditions | None, number: int) -> Conditions | None:
        if conditions is None or not conditions.strategy.noise:
            return conditions
        seed = derive_seed(self._seed, f"noise of attempt {number}") & _SEED_BITS
        return msgspec.structs.replace(conditions, seed=seed)

    def remember(self, number: int, conditions: Conditions | None) -> None:
        """Keep what an attempt of the policy was drawn under, where its strategy does not say it all."""
        if conditions is not None and not conditions.strategy.is_told_whole:
            self._drawn[number] = conditions

    def recall(self, groups: Sequence[Group]) -> dict[int, Conditions]:
        """What the attempts of these groups were drawn under, by number; those are forgotten, and all before them.

        An attempt whose conditions are not known any more is left out.
        """
        attempts = [judged.attempt for group in groups for judged in group.judged]
        found = {each.number: known for each in attempts if (known := self._known(each)) is not None}
        last = max((each.number for each in attempts), default=0)
        self._drawn = {number: each for number, each in self._drawn.items() if number > last}
        return found

    def _known(self, attempt: Attempt) -> Conditions | None:
        if attempt.strategy is None:
            return Conditions(strategy=plain(self.settings.require_boost, self.settings.temperature))
        if attempt.strategy.is_told_whole:
            return Conditions(strategy=attempt.strategy)
        return self._drawn.get(attempt.number)

    def plainly(self, task: Task) -> Conditions:
        """What a replayed program is learned under: the policy as it is, with the boost that is left."""
        boost = boost_left(task.key, self._state, self.settings)
        return Conditions(strategy=plain(boost, self.settings.temperature))

    def observe(self, groups: Sequence[Group]) -> None:
        """Take note of a batch that was judged."""
        self._state = observed(self._state, groups, self.settings)

    def was_reset(self) -> None:
        """Weights were set back: what the policy finds likeliest means little for a while."""
        self._state = msgspec.structs.replace(self._state, rest=self.settings.beam.rest)


def _held(state: StrategyState, strategy: Strategy, guidance: Guidance) -> tuple[float, ...]:
    """What is taken from the logit of each token; () when it is nothing."""
    if not strategy.imbalance and not guidance.penalties:
        return ()
    usual = penalties(state.imbalance) if strategy.imbalance else (0.0,) * len(vocabulary())
    return tuple(taken + guidance.penalties.get(token, 0.0) for token, taken in enumerate(usual))
