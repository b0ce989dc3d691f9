"""Runs LODA programs within limits: the terms of a sequence, steps, and what went wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from altlas_agent.languages.loda import Program, program_name
from altlas_agent.languages.machine.compiler import compiled
from altlas_agent.languages.machine.faults import (
    CPP_BITS,
    MAX_CALL_DEPTH,
    Bounds,
    Limits,
    LodaError,
    LodaLimitError,
    shown,
)
from altlas_agent.languages.machine.memory import Cells
from altlas_agent.languages.machine.reference import interpret

if TYPE_CHECKING:
    from altlas_agent.languages.machine.engine import Engine

__all__ = [
    "CPP_BITS",
    "Evaluation",
    "Limits",
    "LodaError",
    "LodaLimitError",
    "Machine",
    "Resolver",
    "decimal",
    "evaluate",
]

Resolver: TypeAlias = Callable[[str], Program | None]
"""The program of an id such as A000045 or P000001; None where there is none."""

_MAX_NUMBER = 10**9
_MEMO_BYTES = 64_000_000
_ENTRY_BYTES = 200
_CHUNK_DIGITS = 4_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The terms up to the first error, and the steps each of them took.

    `error` is the kind of LodaError that ended it, `limit` the limit that was broken.
    """

    terms: tuple[int, ...]
    steps: tuple[int, ...]
    error: str | None = None
    limit: str | None = None
    message: str = ""


class _Value(NamedTuple):
    """A remembered call: its value, its steps, and how deep the calls below it went."""

    value: int
    steps: int
    height: int


class Machine:
    """Runs programs, and remembers the values of those that they call.

    Both engines give the same values, steps and errors; "reference" is the slow one.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        resolve: Resolver | None = None,
        *,
        engine: Literal["compiled", "reference"] = "compiled",
    ) -> None:
        self.bounds = Bounds(limits or Limits())
        self._resolve = resolve
        self._kind = engine
        self._programs: dict[str, Program | None] = {}
        self._engines: dict[int, tuple[Program, Engine]] = {}
        self._memo: dict[tuple[int, int], _Value] = {}
        self._memo_room = _MEMO_BYTES
        self._running: list[str] = []
        self._depth = 0
        self._deepest = 0

    def evaluate(
        self, program: Program, terms: int, *, offset: int | None = None, name: str = ""
    ) -> Evaluation:
        """The first `terms` terms, from the program's own offset on where none is given."""
        first = program.offset if offset is None else offset
        found: list[tuple[int, int]] = []
        try:
            # extend() keeps what came before an error.
            found.extend(self.term(program, argument, name=name) for argument in range(first, first + terms))
        except LodaError as error:
            limit = error.limit if isinstance(error, LodaLimitError) else None
            message = f"term {len(found) + 1} (n = {shown(first + len(found))}): {error.message}"
            return _evaluation(found, error.kind, limit, message)
        return _evaluation(found)

    def term(self, program: Program, argument: int, *, name: str = "") -> tuple[int, int]:
        """One term and the steps it took; `name` is the id under which the program must not be called.

        Raises LodaError.
        """
        if abs(argument) > self.bounds.high:
            raise self.bounds.number_fault("the argument", argument)
        self._running = [name] if name else []
        self._depth = self._deepest = 0
        cells = Cells({0: argument})
        left = self._run(program, cells, self.bounds.steps)
        return cells[0], self.bounds.steps - left

    def call(self, number: int, argument: int, left: int) -> tuple[int, int]:
        """What `seq` does: the value of another program, and the steps left."""
        name, program = self._called("seq", number)
        if argument < program.offset:
            raise LodaError(
                "seq_invalid_argument", f"{name} starts at {program.offset}, not at {shown(argument)}"
            )
        known = self._memo.get((number, argument))
        if known is None:
            known = self._enter(name, program, argument, left)
            self._remember((number, argument), known)
        elif self._depth + known.height > MAX_CALL_DEPTH:
            raise _depth_fault()
        self._deepest = max(self._deepest, self._depth + known.height)
        if known.steps > left:
            raise self.bounds.step_fault()
        return known.value, left - known.steps

    def call_ports(self, number: int, start: int, cells: Cells, left: int) -> tuple[list[int], int]:
        """What `prg` does: the outputs of another program for the inputs from cell `start` on."""
        name, program = self._called("prg", number)
        if program.inputs is None or program.outputs is None:
            raise LodaError("missing_ports", f"{name} has no #inputs and #outputs")
        inner = Cells({place: cells[start + place] for place in range(program.inputs)})
        left = self._nested(name, program, inner, left)
        return [inner[place] for place in range(program.outputs)], left

    def _enter(self, name: str, program: Program, argument: int, left: int) -> _Value:
        cells = Cells({0: argument})
        above, self._deepest = self._deepest, 0
        rest = self._nested(name, program, cells, left)
        height = max(self._deepest - self._depth, 1)
        self._deepest = max(above, self._deepest)
        return _Value(cells[0], left - rest, height)

    def _remember(self, key: tuple[int, int], known: _Value) -> None:
        self._memo_room -= _ENTRY_BYTES + (key[1].bit_length() + known.value.bit_length()) // 8
        if self._memo_room > 0:
            self._memo[key] = known

    def _called(self, call: str, number: int) -> tuple[str, Program]:
        name = program_name(call, number) if 0 <= number < _MAX_NUMBER else ""
        if name and name not in self._programs:
            self._programs[name] = self._resolve(name) if self._resolve is not None else None
        program = self._programs.get(name)
        if program is None:
            raise LodaError(
                "invalid_id", f"{call} calls {name or shown(number)}, and there is no such program"
            )
        if name in self._running:
            raise LodaError("recursion", f"{name} calls itself")
        return name, program

    def _nested(self, name: str, program: Program, cells: Cells, left: int) -> int:
        """Run a called program one level deeper; where it fails, the whole term does, and nothing is undone."""
        if self._depth >= MAX_CALL_DEPTH:
            raise _depth_fault()
        self._running.append(name)
        self._depth += 1
        self._deepest = max(self._deepest, self._depth)
        left = self._run(program, cells, left)
        self._depth -= 1
        self._running.pop()
        return left

    def _run(self, program: Program, cells: Cells, left: int) -> int:
        known = self._engines.get(id(program))
        if known is None:
            # The program is kept too, so that no other one can come to have its id.
            known = self._engines[id(program)] = (program, self._engine_of(program))
        return known[1](cells, left, self)

    def _engine_of(self, program: Program) -> Engine:
        if self._kind == "reference":
            return interpret(program.operations)
        return compiled(program.operations, max(program.inputs or 1, 1), max(program.outputs or 1, 1))


def evaluate(
    program: Program,
    terms: int,
    *,
    offset: int | None = None,
    limits: Limits | None = None,
    resolve: Resolver | None = None,
    name: str = "",
) -> Evaluation:
    """Machine.evaluate() on a machine of its own."""
    return Machine(limits, resolve).evaluate(program, terms, offset=offset, name=name)


def decimal(number: int) -> str:
    """The digits of a number of any size; Python's own conversion refuses large ones."""
    if number < 0:
        return "-" + decimal(-number)
    parts: list[str] = []
    base = 10**_CHUNK_DIGITS
    while number >= base:
        number, part = divmod(number, base)
        parts.append(f"{part:0{_CHUNK_DIGITS}}")
    return str(number) + "".join(reversed(parts))


def _depth_fault() -> LodaError:
    return LodaLimitError("calls", f"calls go deeper than {MAX_CALL_DEPTH} programs")


def _evaluation(
    found: list[tuple[int, int]], error: str | None = None, limit: str | None = None, message: str = ""
) -> Evaluation:
    terms = tuple(term for term, _ in found)
    return Evaluation(
        terms=terms, steps=tuple(steps for _, steps in found), error=error, limit=limit, message=message
    )
