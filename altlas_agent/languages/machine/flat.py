"""The compiler for programs whose cells are all known: every cell is a variable of the function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.languages.loda import CALLS, REGIONS, Mode, Operand, Operation
from altlas_agent.languages.machine.faults import MIN_CELLS
from altlas_agent.languages.machine.memory import region
from altlas_agent.languages.machine.writer import Loop, Writer, constant_of, literal, together

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_REGION = 64


def is_flat(operations: tuple[Operation, ...]) -> bool:
    """True when every cell that the program can reach is named in it, or near one that is."""
    return all(_is_flat(operation) for operation in operations)


def _is_flat(operation: Operation) -> bool:
    operands = [operand for operand in (operation.target, operation.source) if operand is not None]
    if operation.name == "prg" or any(operand.mode is Mode.INDIRECT for operand in operands):
        return False
    if operation.name in REGIONS or operation.name == "lpb":
        length = constant_of(operation.source)
        return length is not None and abs(length) <= MAX_REGION
    return True


class FlatWriter(Writer):
    """Cell 3 is the variable c3; a loop notes the variables that its body writes."""

    def __init__(self, operations: tuple[Operation, ...], inputs: int, outputs: int) -> None:
        super().__init__(operations)
        self._inputs = inputs
        self._outputs = outputs

    def begin(self) -> None:
        cells = {0, *range(self._outputs), *(cell for op in self.operations for cell in _cells(op))}
        for cell in sorted(cells):
            self.emit(f"c{cell} = m[{cell}]" if cell < self._inputs else f"c{cell} = 0")
        if any(op.name in CALLS for op in self.operations):
            self.emit("call = host.call")

    def end(self) -> None:
        self.emit(*(f"m[{cell}] = c{cell}" for cell in range(self._outputs)))

    def before_loop(self, loop: Loop) -> None:
        pass

    def before_pass(self, loop: Loop) -> None:
        self.emit(*(f"s{loop.depth}_{cell} = c{cell}" for cell in _written(loop)))
        cells = self._compared(loop)
        if len(cells) > 1:
            self.emit(f"f{loop.depth} = {together(f'c{cell}' for cell in cells)}")

    def after_pass(self, loop: Loop) -> None:
        cells, written = self._compared(loop), _written(loop)
        if len(cells) > 1:
            now = together(f"c{cell}" for cell in cells)
            self.emit(f"if is_smaller({now}, f{loop.depth}): continue")
        elif cells and cells[0] in written:
            self.emit(f"if 0 <= c{cells[0]} < s{loop.depth}_{cells[0]}: continue")
        self.emit(*(f"c{cell} = s{loop.depth}_{cell}" for cell in written))

    def step(self, number: int, operation: Operation) -> None:
        target = _target(operation)
        source = _name(operation.source)
        if operation.name in REGIONS:
            self._region(number, operation)
            return
        if operation.name == "seq":
            self.emit(f"c{target}, left = call({source}, c{target}, left)")
        else:
            self.emit(*self.phrase(number, operation, f"c{target}", source))
        if target >= MIN_CELLS:
            self.emit(f"if C <= {target}: raise L.cell_fault(K[{number}], {target})")

    def _compared(self, loop: Loop) -> range:
        """The cells that must become smaller; where there are none, the loop never goes on."""
        start, length = _target(loop.head), constant_of(loop.head.source)
        return range(start, start + (length or 0))

    def _region(self, number: int, operation: Operation) -> None:
        start, length = _target(operation), constant_of(operation.source) or 0
        first, end = region(start, length)
        if operation.name == "clr":
            self.emit(*(f"c{cell} = 0" for cell in range(max(first, 0), end)))
        elif length and first < 0:
            self.emit(f"raise negative_index({first})")
        elif length:
            if end > MIN_CELLS:
                self.emit(f"if C < {end}: raise L.cell_fault(K[{number}], {end - 1})")
            self._move(operation.name, start, range(first, end))

    def _move(self, name: str, start: int, cells: range) -> None:
        new = [start] * len(cells)
        if name != "fil":
            turn = 1 if name == "rol" else -1
            new = [*cells[turn:], *cells[:turn]]
        self.emit(f"{together(f'c{cell}' for cell in cells)} = {together(f'c{cell}' for cell in new)}")


def _cells(operation: Operation) -> Iterator[int]:
    """Every cell that an operation can reach."""
    for operand in (operation.target, operation.source):
        if operand is not None and operand.mode is Mode.DIRECT:
            yield operand.value
    length = constant_of(operation.source)
    if length is not None and (operation.name in REGIONS or operation.name == "lpb"):
        start = _target(operation)
        first, end = region(start, length) if operation.name in REGIONS else (start, start + length)
        yield from range(max(first, 0), end)


def _written(loop: Loop) -> list[int]:
    regions = {cell for op in loop.body if op.name in REGIONS for cell in _cells(op)}
    return sorted(regions | set(loop.written))


def _target(operation: Operation) -> int:
    assert operation.target is not None
    return operation.target.value


def _name(operand: Operand | None) -> str:
    assert operand is not None
    return literal(operand.value) if operand.mode is Mode.CONSTANT else f"c{operand.value}"
