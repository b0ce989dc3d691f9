"""How often tokens are used, by programs that solved their task and by those that did not, and which together.

    share      of all tokens written
    programs   in which a token occurs at all, among those that solved and those that failed
    lift       log2 of how much more often it is in a program that solved than in one that failed (0: as often)
    balance    log2 of its share among the tokens of its role over an even share; roles whose tokens stand
               in every program, or only where names do, have none

Over-used is a token with a balance above `OVER`, under-used one below `UNDER`, where its role occurs at all.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.core.records import Record
from altlas_agent.languages.tokens.vocabulary import Token, vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

OVER = 1.5
UNDER = -3.0
UNJUDGED_ROLES = frozenset({"block", "function", "identifier", "output", "assignment"})
"""Their tokens are asked for by every program, or by how many names there are; nobody chooses among them."""

LEAST_WRITTEN = 200
"""A role with fewer tokens than this in all is too rare for its balance to say something."""


class Written(NamedTuple):
    """One program: its tokens, and whether it solved its task."""

    tokens: tuple[int, ...]
    solved: bool


class Tally:
    """Counts of tokens, filled program by program; of pairs as well, unless nobody asks for them."""

    def __init__(self, *, with_pairs: bool = True) -> None:
        self._with_pairs = with_pairs
        self.solved = 0
        self.failed = 0
        self.written: Counter[int] = Counter()
        self.in_solved: Counter[int] = Counter()
        self.in_failed: Counter[int] = Counter()
        self.together: Counter[tuple[int, int]] = Counter()
        self.together_solved: Counter[tuple[int, int]] = Counter()

    @property
    def programs(self) -> int:
        return self.solved + self.failed

    def add(self, programs: Iterable[Written]) -> None:
        """Count programs; the tokens of one program are counted together once, however often they occur."""
        for (tokens, solved), times in Counter(programs).items():
            for token in tokens:
                self.written[token] += times
            present = sorted(set(tokens))
            inside = self.in_solved if solved else self.in_failed
            for token in present:
                inside[token] += times
            self.solved += times if solved else 0
            self.failed += 0 if solved else times
            if self._with_pairs:
                self._add_pairs(present, times, solved=solved)

    def _add_pairs(self, present: list[int], times: int, *, solved: bool) -> None:
        for pair in combinations(present, 2):
            self.together[pair] += times
            if solved:
                self.together_solved[pair] += times


class TokenLine(Record):
    """How one token is used. `use` is over, under, even, or "" where nothing can be said."""

    token: str
    number: int
    role: str
    count: int
    share: float
    programs: int
    solved: int
    failed: int
    lift: float
    balance: float | None
    use: str
    retired: bool = False


class PairLine(Record):
    """Two tokens in one program. `lift` is log2 of how much more often than if they were independent."""

    first: str
    second: str
    programs: int
    solved: int
    share: float
    lift: float


def token_lines(tally: Tally) -> list[TokenLine]:
    """One line for each token of the vocabulary and for each number beyond it, the most used first."""
    balances = balance(tally.written)
    numbers = range(max(len(vocabulary()), 1 + max(tally.written, default=-1)))
    known = [number for number in numbers if number < len(vocabulary()) or tally.written[number]]
    lines = [_line(tally, number, balances.get(number)) for number in known]
    return sorted(lines, key=lambda line: (-line.count, line.number))


def _line(tally: Tally, number: int, balanced: float | None) -> TokenLine:
    token = _token(number)
    solved, failed = tally.in_solved[number], tally.in_failed[number]
    return TokenLine(
        token=token.name,
        number=number,
        role=token.role,
        count=tally.written[number],
        share=tally.written[number] / max(1, tally.written.total()),
        programs=solved + failed,
        solved=solved,
        failed=failed,
        lift=math.log2(_rate(solved, tally.solved) / _rate(failed, tally.failed)),
        balance=balanced,
        use=_use(balanced),
        retired=token.retired,
    )


def _token(number: int) -> Token:
    """A number beyond the vocabulary was stored with another one."""
    tokens = vocabulary().tokens
    return tokens[number] if number < len(tokens) else Token(name=f"#{number}", role="")


def _rate(count: int, programs: int) -> float:
    """Laplace: with one more program that has it and one that has not, nothing is impossible."""
    return (count + 1) / (programs + 2)


def _use(balanced: float | None) -> str:
    if balanced is None:
        return ""
    if balanced > OVER:
        return "over"
    return "under" if balanced < UNDER else "even"


def balance(written: Counter[int]) -> dict[int, float]:
    """For tokens of the judged roles: log2 of the share in their role over an even share.

    A token that was never written counts as half of one. A role with fewer than `LEAST_WRITTEN` tokens written
    is left out.
    """
    found: dict[int, float] = {}
    for members in judged_roles().values():
        total = sum(written[number] for number in members)
        if total >= LEAST_WRITTEN:
            even = total / len(members)
            found |= {number: math.log2(max(written[number], 0.5) / even) for number in members}
    return found


def judged_roles() -> dict[str, list[int]]:
    """The tokens of each role among which there is a choice, without those that are retired.

    How often the slots of literals are used depends on how many literals the descriptions have.
    """
    roles: dict[str, list[int]] = {}
    for number, token in enumerate(vocabulary().tokens):
        is_choice = token.role not in UNJUDGED_ROLES and not token.name.startswith(("NUM_", "STR_"))
        if is_choice and not token.retired:
            roles.setdefault(token.role, []).append(number)
    return roles


def pair_lines(tally: Tally, *, least: int = 2) -> list[PairLine]:
    """Pairs of tokens that occur in `least` programs or more, those that attract each other most first."""
    return sorted(
        _pairs(tally, least), key=lambda line: (-line.lift, -line.programs, line.first, line.second)
    )


def _pairs(tally: Tally, least: int) -> Iterator[PairLine]:
    everywhere = max(1, tally.programs)
    for (first, second), programs in tally.together.items():
        if programs < least:
            continue
        alone = [tally.in_solved[each] + tally.in_failed[each] for each in (first, second)]
        yield PairLine(
            first=_token(first).name,
            second=_token(second).name,
            programs=programs,
            solved=tally.together_solved[first, second],
            share=programs / everywhere,
            lift=math.log2(programs * everywhere / (alone[0] * alone[1])),
        )
