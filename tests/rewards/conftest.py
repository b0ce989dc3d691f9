"""One judge over the real sandbox, and tasks small enough to read in a test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.records import Case, Constraints, Kind, Limits, Param, Pattern, Signature, Task
from altlas_agent.rewards.verdict import Judge
from altlas_agent.sandbox.slots import Options, Slots
from altlas_agent.settings.rewards import ScorerWeights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.core.records import Program, RunResult

WEIGHTS: dict[str, float] = ScorerWeights().model_dump()
PATIENT = Limits(cpu_s=5.0, wall_s=20.0)
"""Tests run on machines that do other things as well."""


class CountedSlots:
    """The real sandbox, and how often it was asked."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self.runs = 0

    def run(self, program: Program, limits: Limits) -> RunResult:
        self.runs += 1
        return self._slots.run(program, limits)


@pytest.fixture(scope="session")
def slots() -> Iterator[Slots]:
    with Slots(Options()) as started:
        yield started


@pytest.fixture
def counted(slots: Slots) -> CountedSlots:
    return CountedSlots(slots)


@pytest.fixture
def judge(counted: CountedSlots) -> Judge:
    return Judge(counted.run, WEIGHTS)


def double(
    *,
    language: str = "python",
    constraints: Constraints | None = None,
    patterns: tuple[Pattern, ...] = (),
    limits: Limits = PATIENT,
) -> Task:
    """Asks for double(x), which returns twice x."""
    cases = (("[2]", "4", False), ("[5]", "10", True), ("[-3]", "-6", True))
    return Task(
        id="t/double",
        suite="t",
        name="double",
        description="Write a function double(x) that returns x times 2.",
        target_language=language,
        kind=Kind.FUNCTION,
        cases=tuple(Case(args=args, expected=expected, hidden=hidden) for args, expected, hidden in cases),
        signature=Signature(name="double", params=(Param(name="x", type="num"),), returns="num"),
        constraints=constraints or Constraints(),
        patterns=patterns,
        limits=limits,
        numbers=(2,),
    )


def echo(*, language: str = "python", expected: tuple[str, str] = ('"ab!"', '"cd!"')) -> Task:
    """Asks for a program that prints the line it reads, with an exclamation mark."""
    return Task(
        id="t/echo",
        suite="t",
        name="echo",
        description="Print the line that is read, and behind it !",
        target_language=language,
        kind=Kind.STDOUT,
        cases=(
            Case(stdin="ab\n", expected=expected[0]),
            Case(stdin="cd\n", expected=expected[1], hidden=True),
        ),
        limits=PATIENT,
        reference="print(input() + '!')",
    )
