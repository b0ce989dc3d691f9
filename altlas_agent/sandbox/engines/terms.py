"""Computes the terms of one LODA program, in the jail and in the process of that program.

A Python has it loaded before the first program comes (engines/loda.py). Standard library only, as all that
it imports.
"""

from __future__ import annotations

import json
import sys
from itertools import count, islice
from typing import TYPE_CHECKING, NoReturn, TypedDict

from altlas_agent.languages.loda import LodaSyntaxError, Program, parse
from altlas_agent.languages.loda_machine import LodaError, Machine, decimal

if TYPE_CHECKING:
    from collections.abc import Iterable

FIRST_TERMS = 10

_SAMPLES = ("mov $1,1\nlpb $0\n  mul $1,$0\n  trn $0,1\nlpe\nmov $0,$1\n", "mov $$0,1\nadd $2,-3\n")


class Job(TypedDict):
    """What standard input holds, as JSON; without arguments the first terms are asked for.

    With `no_program` the process exits when the text is none.
    """

    code: str
    arguments: list[int] | None
    no_program: int


def write() -> None:
    """A term a line, up to the first that has none."""
    job = _job()
    terms = Terms(job)
    first = islice(count(terms.offset), FIRST_TERMS)
    arguments: Iterable[int] = first if job["arguments"] is None else job["arguments"]
    for argument in arguments:
        text = decimal(terms.term(argument))
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()  # whatever comes of the next one


def _warmed_up() -> Machine:
    """What parser, compiler and limits make when first used, no process of a program has to make again."""
    machine = Machine()
    for code in _SAMPLES:
        decimal(machine.term(parse(code), 5)[0])
    return machine


_machine = _warmed_up()


class Terms:
    """The terms of a program; what has none ends the process, or the call, and the first failure is told."""

    def __init__(self, job: Job | None = None) -> None:
        self._program = _parsed(job or _job())
        self._has_failed = False
        self.offset = self._program.offset

    def term(self, argument: int) -> int:
        try:
            return _machine.term(self._program, argument)[0]
        except LodaError as error:
            self._fail(f"n = {argument}: {error.message}")
        except MemoryError:
            self._fail(f"n = {argument}: out of memory")

    def _fail(self, message: str) -> NoReturn:
        told, self._has_failed = self._has_failed, True
        sys.exit(1 if told else message)


def _job() -> Job:
    job: Job = json.loads(sys.stdin.buffer.read())
    return job


def _parsed(job: Job) -> Program:
    try:
        return parse(job["code"])
    except LodaSyntaxError as error:
        sys.stderr.write(f"{error.message}\n")
        sys.exit(job["no_program"])
