"""Tokens that come and go together, over distinct programs: the idioms of a policy.

Programs of one fingerprint are one program: a policy that repeats itself adds nothing. Two tokens are tied
when the correlation of their presence (phi) is `threshold` or more; a cluster is what is tied together,
directly or over others. Tokens that nearly all programs have, or hardly any, correlate with nothing and are
left out.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.core.records import Record
from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

THRESHOLD = 0.6
LEAST = 5
"""A token has to be in, and to be missing from, so many distinct programs."""


class Distinct(NamedTuple):
    """One program, whatever it is called and how often it was proposed."""

    tokens: frozenset[int]
    solved: bool
    fingerprint: str


class ClusterLine(Record):
    """Tokens that come together. `programs` have all of them; `phi` is the mean over all their pairs."""

    tokens: tuple[str, ...]
    size: int
    programs: int
    solved: int
    phi: float
    fingerprint: str
    """Of one program that has all of them, or "" where none has."""


class Programs:
    """Distinct programs, collected from attempts."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Distinct] = {}

    def add(self, task: str, tokens: tuple[int, ...], fingerprint: str, *, solved: bool) -> None:
        """One attempt. Programs of different tasks are different programs."""
        key = (task, fingerprint)
        known = self._found.get(key)
        if known is None or (solved and not known.solved):
            self._found[key] = Distinct(frozenset(tokens), solved, fingerprint)

    def all(self) -> list[Distinct]:
        return list(self._found.values())


def clusters(programs: Iterable[Distinct], *, threshold: float = THRESHOLD) -> list[ClusterLine]:
    """The clusters, those of most programs first. Raises ValueError unless 0 < threshold <= 1."""
    if not 0.0 < threshold <= 1.0:
        raise ValueError(f"threshold={threshold:g} must be above 0 and at most 1")
    listed = list(programs)
    alone = Counter(token for program in listed for token in program.tokens)
    usable = {token for token, count in alone.items() if LEAST <= count <= len(listed) - LEAST}
    pairs = Counter(pair for program in listed for pair in combinations(sorted(program.tokens & usable), 2))
    tied = {pair: phi for pair, phi in _phis(pairs, alone, len(listed)) if phi >= threshold}
    found = [_line(group, listed, pairs, alone) for group in _connected(tied)]
    return sorted(found, key=lambda line: (-line.programs, -line.phi, line.tokens))


def _phis(
    pairs: Counter[tuple[int, int]], alone: Counter[int], programs: int
) -> Iterator[tuple[tuple[int, int], float]]:
    for pair in pairs:
        yield pair, _phi(pairs[pair], (alone[pair[0]], alone[pair[1]]), programs)


def _phi(both: int, alone: tuple[int, int], programs: int) -> float:
    """The correlation of two presences, from how many programs have each, and both."""
    first, second = alone
    spread = first * (programs - first) * second * (programs - second)
    return (both * programs - first * second) / math.sqrt(spread) if spread > 0 else 0.0


def _connected(tied: Iterable[tuple[int, int]]) -> list[tuple[int, ...]]:
    """The connected parts of a graph, given by its edges."""
    group_of: dict[int, set[int]] = {}
    for first, second in tied:
        merged = group_of.get(first, {first}) | group_of.get(second, {second})
        group_of.update(dict.fromkeys(merged, merged))
    return sorted({tuple(sorted(group)) for group in group_of.values()})


def _line(
    group: tuple[int, ...], listed: list[Distinct], pairs: Counter[tuple[int, int]], alone: Counter[int]
) -> ClusterLine:
    having = [program for program in listed if program.tokens.issuperset(group)]
    phis = [
        _phi(pairs[pair], (alone[pair[0]], alone[pair[1]]), len(listed)) for pair in combinations(group, 2)
    ]
    tokens = vocabulary().tokens
    return ClusterLine(
        tokens=tuple(tokens[n].name if n < len(tokens) else f"#{n}" for n in group),
        size=len(group),
        programs=len(having),
        solved=sum(program.solved for program in having),
        phi=sum(phis) / len(phis),
        fingerprint=having[0].fingerprint if having else "",
    )
