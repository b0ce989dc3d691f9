"""What both compilers share: the walk over the operations and the frame of the function they write."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.languages.loda import ARITHMETIC, Mode, Operand, Operation
from altlas_agent.languages.machine.engine import block_lengths, has_regions
from altlas_agent.languages.machine.phrases import Phrase

if TYPE_CHECKING:
    from collections.abc import Iterable


MAX_LINES = 20_000


class Loop(NamedTuple):
    """An open loop: its depth, counted from 1, its lpb, and the operations of its body."""

    depth: int
    number: int
    head: Operation
    body: tuple[Operation, ...]

    @property
    def written(self) -> list[int]:
        """The cells that arithmetic and seq in the body name as their targets."""
        targets = [op.target for op in self.body if op.name in ARITHMETIC or op.name == "seq"]
        return sorted({t.value for t in targets if t is not None and t.mode is Mode.DIRECT})


class Writer(abc.ABC):
    """Writes `run(m, left, host)`: cells and steps left in, steps left out.

    The text holds nothing of the program but integers: numbers of operations, cell numbers, constants.
    """

    def __init__(self, operations: tuple[Operation, ...]) -> None:
        self.operations = operations
        self.compares_regions = has_regions(operations)
        self.loops: list[Loop] = []
        self._lines: list[str] = []
        self._depth = 0

    def text(self) -> str | None:
        """None where it would become too long: loops inside each other that write very many cells."""
        self.emit("def run(m, left, host):")
        self._depth = 1
        self.emit("L = host.bounds", "N = L.low", "B = L.high", "C = L.cells")
        self.begin()
        blocks = block_lengths(self.operations)
        for number, operation in enumerate(self.operations):
            if number in blocks:
                self.emit(f"left -= {blocks[number]}", "if left < 0: raise L.step_fault()")
            self._write(number, operation)
            if len(self._lines) > MAX_LINES:
                return None
        self.end()
        self.emit("return left")
        return "\n".join(self._lines) + "\n"

    def emit(self, *lines: str) -> None:
        self._lines += ["    " * self._depth + line for line in lines]

    def phrase(self, number: int, operation: Operation, t: str, s: str) -> list[str]:
        constant = constant_of(operation.source)
        return Phrase(number, operation.name, t, s, constant).lines()

    def _write(self, number: int, operation: Operation) -> None:
        if operation.name == "lpb":
            end = _loop_end(self.operations, number)
            body = self.operations[number + 1 : end]
            self.loops.append(Loop(len(self.loops) + 1, number, operation, body))
            self.before_loop(self.loops[-1])
            self.emit("while True:")
            self._depth += 1
            self.before_pass(self.loops[-1])
        elif operation.name == "lpe":
            loop = self.loops.pop()
            self.after_pass(loop)
            self.emit("break")
            self._depth -= 1
        else:
            self.step(number, operation)

    @abc.abstractmethod
    def begin(self) -> None:
        """Write what stands before the first operation."""

    @abc.abstractmethod
    def end(self) -> None:
        """Write what brings the results into the cells."""

    @abc.abstractmethod
    def before_loop(self, loop: Loop) -> None: ...

    @abc.abstractmethod
    def before_pass(self, loop: Loop) -> None:
        """Write what notes the state before a pass."""

    @abc.abstractmethod
    def after_pass(self, loop: Loop) -> None:
        """Write what goes on with another pass, or undoes this one."""

    @abc.abstractmethod
    def step(self, number: int, operation: Operation) -> None:
        """Write an operation that is neither lpb nor lpe."""


def constant_of(operand: Operand | None) -> int | None:
    return operand.value if operand is not None and operand.mode is Mode.CONSTANT else None


def literal(value: int) -> str:
    return str(value) if value >= 0 else f"({value})"


def together(names: Iterable[str]) -> str:
    """The text of a tuple."""
    return "(" + "".join(f"{name}, " for name in names) + ")"


def _loop_end(operations: tuple[Operation, ...], start: int) -> int:
    depth = 0
    for number in range(start, len(operations)):
        depth += (operations[number].name == "lpb") - (operations[number].name == "lpe")
        if depth == 0:
            return number
    raise AssertionError("parse() balances loops")
