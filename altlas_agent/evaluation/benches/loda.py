"""LODA's machine against a plain interpreter loop in Python: steps for each CPU second, on the same programs."""

from __future__ import annotations

import time
from dataclasses import dataclass
from statistics import median
from typing import Literal

from altlas_agent.core.errors import LanguageError
from altlas_agent.evaluation.benches.measures import Bench, Measure, faster
from altlas_agent.languages.loda import Program, parse
from altlas_agent.languages.loda_machine import Machine

Engine = Literal["compiled", "reference"]

FIBONACCI = """
mov $1,1
lpb $0
  sub $0,1
  mov $2,$1
  add $1,$3
  mov $3,$2
lpe
mov $0,$3
"""
DIGIT_SUM = """
mov $1,$0
mul $1,7919
lpb $1
  mov $2,$1
  mod $2,10
  add $3,$2
  div $1,10
lpe
mov $0,$3
"""
COUNTING = """
mov $1,$0
mul $1,40
lpb $1
  sub $1,1
  mov $2,$1
  gcd $2,6
  equ $2,1
  add $3,$2
lpe
mov $0,$3
"""

PROGRAMS = {"fibonacci": (FIBONACCI, 150), "digit_sum": (DIGIT_SUM, 500), "counting": (COUNTING, 60)}
"""Text and number of terms: growing numbers, small numbers, and a loop over a comparison."""


@dataclass(frozen=True)
class Rates:
    """Steps for each CPU second."""

    compiled: float
    plain: float


def bench(*, rounds: int) -> Bench:
    """Raises LanguageError when the two do not agree."""
    return Bench(
        bench="loda",
        measures=tuple(
            _measure(name, parse(text), terms, rounds) for name, (text, terms) in PROGRAMS.items()
        ),
    )


def _measure(name: str, program: Program, terms: int, rounds: int) -> Measure:
    found = [_rates(program, terms) for _ in range(rounds + 1)][1:]
    return faster(
        f"{name}_steps",
        median(each.compiled for each in found) / 1e6,
        median(each.plain for each in found) / 1e6,
        unit="M/s",
        bar=5.0,
        ratio=median(each.compiled / each.plain for each in found),
    )


def _rates(program: Program, terms: int) -> Rates:
    compiled, values = _rate(program, terms, "compiled")
    plain, same = _rate(program, terms, "reference")
    if values != same:
        raise LanguageError("the compiled machine and the plain interpreter give different terms")
    return Rates(compiled, plain)


def _rate(program: Program, terms: int, engine: Engine) -> tuple[float, tuple[int, ...]]:
    began = time.process_time()
    found = Machine(engine=engine).evaluate(program, terms)
    return sum(found.steps) / (time.process_time() - began), found.terms
