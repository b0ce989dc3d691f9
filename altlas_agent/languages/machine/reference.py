"""The plain interpreter: short enough to be believed, and what the compiler is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from altlas_agent.languages.loda import ARITHMETIC, Mode, Operand, Operation
from altlas_agent.languages.machine.arithmetic import calculate
from altlas_agent.languages.machine.engine import block_lengths, has_regions
from altlas_agent.languages.machine.faults import negative_index
from altlas_agent.languages.machine.memory import Cells, region

if TYPE_CHECKING:
    from altlas_agent.languages.machine.engine import Engine, Host


class _Loop(NamedTuple):
    """An open loop: where its body starts, and the memory and region before the current pass."""

    body: int
    cells: Cells
    region: list[int]


class _Run:
    """One run of a program."""

    def __init__(self, operations: tuple[Operation, ...], cells: Cells, host: Host) -> None:
        self._operations = operations
        self._compares_regions = has_regions(operations)
        self._cells = cells
        self._host = host
        self._bounds = host.bounds
        self._loops: list[_Loop] = []

    def run(self, blocks: dict[int, int], left: int) -> int:
        place = 0
        while place < len(self._operations):
            left -= blocks.get(place, 0)
            if left < 0:
                raise self._bounds.step_fault()
            operation = self._operations[place]
            place += 1
            if operation.name in ARITHMETIC:
                self._calculate(operation)
            elif operation.name == "lpb":
                self._loops.append(_Loop(place, Cells(self._cells), self._region(operation)))
            elif operation.name == "lpe":
                place = self._close_loop(place)
            elif operation.name in ("seq", "prg"):
                left = self._call(operation, left)
            else:
                self._change_region(operation)
        return left

    def _address(self, operand: Operand) -> int:
        return operand.value if operand.mode is Mode.DIRECT else self._cells[operand.value]

    def _value(self, operand: Operand) -> int:
        return operand.value if operand.mode is Mode.CONSTANT else self._cells[self._address(operand)]

    def _calculate(self, operation: Operation) -> None:
        target, source = _operands(operation)
        value = calculate(operation.name, self._value(target), self._value(source), self._bounds)
        if value is None or abs(value) > self._bounds.high:
            raise self._bounds.number_fault(operation, value)
        self._store(operation, self._address(target), value)

    def _store(self, operation: Operation, index: int, value: int) -> None:
        if not 0 <= index < self._bounds.cells:
            raise self._bounds.cell_fault(operation, index)
        self._cells[index] = value

    def _region(self, loop: Operation, most: int | None = None) -> list[int]:
        """The cells that must become smaller, at most so many of them; plain loops have one."""
        target, source = _operands(loop)
        length = self._value(source) if self._compares_regions else 1
        start = self._address(target)
        length = length if most is None else min(length, most)
        if length > self._bounds.cells:
            raise self._bounds.cell_fault(loop, length)
        return [self._cells[index] for index in range(start, start + length)]

    def _close_loop(self, place: int) -> int:
        """Where to go on: the body again, or behind the loop with the last pass undone."""
        loop = self._loops.pop()
        now = self._region(self._operations[loop.body - 1], len(loop.region))
        for value, before in zip(now, loop.region, strict=False):
            if value < 0 or value > before:
                break
            if value < before:
                self._loops.append(_Loop(loop.body, Cells(self._cells), now))
                return loop.body
        self._cells = loop.cells
        return place

    def _call(self, operation: Operation, left: int) -> int:
        target, source = _operands(operation)
        number = self._value(source)
        if operation.name == "seq":
            value, left = self._host.call(number, self._value(target), left)
            self._store(operation, self._address(target), value)
            return left
        start = self._address(target)
        values, left = self._host.call_ports(number, start, self._cells, left)
        for index, value in enumerate(values, start):
            self._store(operation, index, value)
        return left

    def _change_region(self, operation: Operation) -> None:
        target, source = _operands(operation)
        start, length = self._address(target), self._value(source)
        first, end = region(start, length)
        if operation.name == "clr":
            for index in [index for index in self._cells if first <= index < end]:
                self._cells[index] = 0
            return
        if length == 0:
            return
        if first < 0:
            raise negative_index(first)
        if end > self._bounds.cells:
            raise self._bounds.cell_fault(operation, end - 1)
        old = [self._cells[index] for index in range(first, end)]
        for place, index in enumerate(range(first, end)):
            turned = {"rol": place + 1, "ror": place - 1, "fil": start - first}[operation.name]
            self._cells[index] = old[turned % len(old)]

    def result(self) -> Cells:
        return self._cells


def interpret(operations: tuple[Operation, ...]) -> Engine:
    """The engine that reads one operation after the other."""
    blocks = block_lengths(operations)

    def run(cells: Cells, left: int, host: Host) -> int:
        state = _Run(operations, cells, host)
        left = state.run(blocks, left)
        result = dict(state.result())
        cells.clear()
        cells.update(result)
        return left

    return run


def _operands(operation: Operation) -> tuple[Operand, Operand]:
    assert operation.target is not None
    assert operation.source is not None
    return operation.target, operation.source
