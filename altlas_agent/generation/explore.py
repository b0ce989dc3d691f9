"""Exploration: which arm draws which attempt, programs that are not proposed twice, and what came of them.

plan ── arms (bandit) ── rows ──┬── sampler ── drawn again while not new
                                ├── search, near misses ── what they have not is drawn from the grammar
                                └── beam, for tasks that are stuck ── what it has not is drawn flattened
"""

from __future__ import annotations

import random
from array import array
from hashlib import blake2b
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from altlas_agent.core.clock import derive_seed
from altlas_agent.core.records import Arm
from altlas_agent.core.states import Chance, ExplorerState, Tried, ValueState
from altlas_agent.generation.base import Row, Written, rows_of
from altlas_agent.generation.beam import beam
from altlas_agent.generation.choose import arms_of, observed
from altlas_agent.generation.priors import drawn_from_grammar
from altlas_agent.generation.search.mutate import Mutator
from altlas_agent.generation.search.search import Search
from altlas_agent.generation.search.value import Value

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from altlas_agent.core.records import Group, GroupPlan
    from altlas_agent.generation.sampling import Sampler
    from altlas_agent.generation.strategy.strategist import Strategist
    from altlas_agent.settings.generation import GenerationSettings

MAX_REMEMBERED = 2_000_000
_INSTEAD = {Arm.SEARCH: Arm.GRAMMAR, Arm.MUTATE: Arm.GRAMMAR, Arm.BEAM: Arm.FLAT}
"""What draws where an arm has no program, and says so."""


class Drawn(NamedTuple):
    """A row as it was written at last, by the arm that it names."""

    row: Row
    program: Written


class Explorer:
    """Remembers the programs of each task. On-policy rows are left as they were drawn: redrawing them
    would change the distribution that the policy gradient assumes.
    """

    def __init__(
        self, sampler: Sampler, settings: GenerationSettings, seed: int, *, strategist: Strategist
    ) -> None:
        self._sampler = sampler
        self._settings = settings
        self._strategist = strategist
        self._rng = random.Random(derive_seed(seed, "arms"))
        self._value = Value() if settings.search_value else None
        self._search = Search(
            seed, capacity=settings.search_capacity, ticks=settings.search_ticks, value=self._value
        )
        self._tried: dict[str, Tried] = {}
        self._seen: set[int] = set()

    def seen(self) -> NDArray[np.int64]:
        """(S,) what was proposed so far, to go on from later."""
        return np.sort(np.fromiter(self._seen, dtype=np.int64, count=len(self._seen)))

    def state(self) -> ExplorerState:
        """All else, to go on from later."""
        return ExplorerState(
            chance=Chance.of(self._rng),
            tried=self._tried,
            sought=self._search.state(),
            value=self._value.state if self._value is not None else ValueState(),
        )

    def restore(self, seen: NDArray[np.int64], state: ExplorerState) -> None:
        """Go on from there."""
        self._seen = set(seen.tolist())
        state.chance.give(self._rng)
        self._tried = dict(state.tried)
        self._search.restore(state.sought)
        if self._value is not None:
            self._value.state = state.value

    def write(self, plans: Sequence[GroupPlan]) -> list[Drawn]:
        """One program per attempt of the groups, in order."""
        rows: list[Row] = []
        made: dict[int, tuple[int, ...]] = {}
        for prompt, plan in enumerate(plans):
            of_group = rows_of(plan, prompt, self._arms(plan) + [Arm.BEAM] * self._strategist.beam_rows(plan))
            made |= self._made(plan, of_group, len(rows))
            rows += self._strategist.conditions(plan, of_group)
        made |= self._beamed(rows)
        rows = self._settled(plans, rows, made)
        programs = self._sampled(rows, made)
        if len(self._seen) < MAX_REMEMBERED:
            self._seen.update(_key(row, program.tokens) for row, program in zip(rows, programs, strict=True))
        return [Drawn(row, program) for row, program in zip(rows, programs, strict=True)]

    def learn(self, groups: Sequence[Group]) -> None:
        """Take note of what came of the attempts; a task that was solved is not explored any more."""
        for group in groups:
            key = group.plan.task.key
            if self._value is not None:
                self._value.learn(group)
            if any(judged.score.solved for judged in group.judged):
                self._tried.pop(key, None)
                self._search.forget(key)
            elif group.plan.explore:
                self._tried[key] = observed(self._tried.get(key, Tried()), group.judged)

    def _arms(self, plan: GroupPlan) -> list[Arm]:
        if not plan.explore:
            return []
        guidance, given = plan.guidance, self._settings.arm_shares
        count = min(plan.size, round(plan.size * self._settings.explore_share * guidance.share))
        shares = {arm: share * guidance.arms.get(arm, 1.0) for arm, share in given.items()}
        tried = self._tried.get(plan.task.key, Tried())
        return arms_of(count, shares, tried, self._rng, adapt=self._settings.adapt_arms)

    def _made(self, plan: GroupPlan, rows: Sequence[Row], first: int) -> dict[int, tuple[int, ...]]:
        """Programs for the rows of a group that are not sampled, by the place of the row."""
        wanted = {
            arm: [first + place for place, row in enumerate(rows) if row.arm is arm]
            for arm in (Arm.SEARCH, Arm.MUTATE)
        }
        found: dict[int, tuple[int, ...]] = {}
        if wanted[Arm.SEARCH]:
            proposed = self._search.propose(plan, len(wanted[Arm.SEARCH]))
            found |= dict(zip(wanted[Arm.SEARCH], proposed, strict=False))
        near = [miss.tokens for miss in self._tried.get(plan.task.key, Tried()).near]
        if near:
            mutator = Mutator(plan.task, drawn_from_grammar, self._rng)
            found |= {place: self._new_child(rows[0], mutator, near) for place in wanted[Arm.MUTATE]}
        return found

    def _new_child(self, row: Row, mutator: Mutator, near: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
        child = mutator.child(near)
        for _ in range(self._settings.fresh_tries):
            if _key(row, child) not in self._seen:
                break
            child = mutator.child(near)
        return child

    def _beamed(self, rows: Sequence[Row]) -> dict[int, tuple[int, ...]]:
        """Programs for the rows of the beam, by the place of the row: the best that were not proposed before."""
        places: dict[int, list[int]] = {}
        for place, row in enumerate(rows):
            if row.arm is Arm.BEAM:
                places.setdefault(row.group, []).append(place)
        if not places:
            return {}
        first = [rows[of_group[0]] for of_group in places.values()]
        settings = self._settings.beam
        found = beam(self._sampler, first, width=settings.width, length_power=settings.length_power)
        made: dict[int, tuple[int, ...]] = {}
        for row, of_group, programs in zip(first, places.values(), found, strict=True):
            new = [tokens for tokens in programs if _key(row, tokens) not in self._seen]
            made |= dict(zip(of_group, new, strict=False))
        return made

    def _settled(
        self, plans: Sequence[GroupPlan], rows: Sequence[Row], made: Mapping[int, tuple[int, ...]]
    ) -> list[Row]:
        """The rows with the arms that really write them, each under the conditions of its arm."""
        found: list[Row] = []
        for place, row in enumerate(rows):
            arm = row.arm if place in made else _INSTEAD.get(row.arm, row.arm)
            if arm is not row.arm:
                [row] = self._strategist.conditions(plans[row.prompt], [row._replace(arm=arm)])
            found.append(row)
        return found

    def _sampled(self, rows: Sequence[Row], made: dict[int, tuple[int, ...]]) -> list[Written]:
        """All rows written; exploratory ones are redrawn up to `fresh_tries` times while not new."""
        places = [place for place in range(len(rows)) if place not in made]
        written = {
            place: Written(tokens, (0.0,) * len(tokens), rows[place].conditions)
            for place, tokens in made.items()
        }
        for tries in range(self._settings.fresh_tries + 1):
            if not places:
                break
            written |= dict(zip(places, self._sampler.write([rows[p] for p in places]), strict=True))
            if tries < self._settings.fresh_tries:
                places = self._stale(rows, [written[place] for place in range(len(rows))])
        return [written[place] for place in range(len(rows))]

    def _stale(self, rows: Sequence[Row], written: Sequence[Written]) -> list[int]:
        """Places of sampled exploratory rows whose program was proposed before, in this batch too."""
        now: set[int] = set()
        stale: list[int] = []
        for place, (row, program) in enumerate(zip(rows, written, strict=True)):
            key = _key(row, program.tokens)
            if row.arm in (Arm.FLAT, Arm.GRAMMAR) and (key in self._seen or key in now):
                stale.append(place)
            now.add(key)
        return stale


def _key(row: Row, tokens: Sequence[int]) -> int:
    """64 bits that are the same in every process, unlike Python's hash of a text."""
    what = row.task.key.encode() + b"\0" + array("H", tokens).tobytes()
    return int.from_bytes(blake2b(what, digest_size=8).digest(), "big", signed=True)
