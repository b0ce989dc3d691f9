"""The compiler for programs that compute cell numbers: the cells stay in a dictionary."""

from __future__ import annotations

from altlas_agent.languages.loda import REGIONS, Mode, Operand, Operation
from altlas_agent.languages.machine.faults import MIN_CELLS
from altlas_agent.languages.machine.writer import Loop, Writer, literal


class SparseWriter(Writer):
    """A loop notes the cells that its body names as targets; others are noted when they are written.

    Undoing takes the noted ones last: they hold what was there before the pass.
    """

    def begin(self) -> None:
        self.emit("call = host.call")

    def end(self) -> None:
        pass

    def before_loop(self, loop: Loop) -> None:
        depth = loop.depth
        if not self.compares_regions:
            self.emit(f"n{depth} = {_value(loop.head.target)}")
            return
        self.emit(f"n{depth} = {_value(loop.head.source)}")
        self.emit(f"f{depth} = {_fragment(loop, f'n{depth}')}")

    def before_pass(self, loop: Loop) -> None:
        self.emit(*(f"s{loop.depth}_{cell} = m[{cell}]" for cell in loop.written))
        if _writes_elsewhere(loop):
            self.emit(f"u{loop.depth} = {{}}")

    def after_pass(self, loop: Loop) -> None:
        depth = loop.depth
        if self.compares_regions:
            self.emit(f"n = min(n{depth}, {_value(loop.head.source)})")
            self.emit(f"f = {_fragment(loop, 'n')}")
            self.emit(f"if is_less(f, f{depth}, n):", f"    f{depth} = f")
        else:
            self.emit(f"n = {_value(loop.head.target)}")
            self.emit(f"if 0 <= n < n{depth}:")
        self.emit(f"    n{depth} = n")
        if _writes_elsewhere(loop):
            if self.loops:
                self.emit(f"    if u{depth}: merge(u{self.loops[-1].depth}, u{depth})")
            self.emit("    continue", f"m.update(u{depth})")
        else:
            self.emit("    continue")
        self.emit(*(f"m[{cell}] = s{depth}_{cell}" for cell in loop.written))

    def step(self, number: int, operation: Operation) -> None:
        undo = f"u{self.loops[-1].depth}" if self.loops else "None"
        source, address = _value(operation.source), _address(operation.target)
        if operation.name == "prg":
            self.emit(f"i = {address}", f"v, left = host.call_ports({source}, i, m, left)")
            self.emit(f"store(K[{number}], i, v, cells=m, undo={undo}, bounds=L)")
        elif operation.name in REGIONS:
            self.emit(f"change_region(K[{number}], {address}, {source}, cells=m, undo={undo}, bounds=L)")
        else:
            self._assign(number, operation, undo)

    def _assign(self, number: int, operation: Operation, undo: str) -> None:
        target, source = operation.target, _value(operation.source)
        assert target is not None
        cell = str(target.value)
        if target.mode is Mode.INDIRECT:
            self.emit(f"i = m[{cell}]")
            cell = "i"
        if operation.name != "mov" or target.mode is Mode.INDIRECT:
            self.emit(f"t = m[{cell}]")
        if operation.name == "seq":
            self.emit(f"t, left = call({source}, t, left)")
        else:
            if operation.name != "mov" and not _is_constant(operation.source):
                self.emit(f"s = {source}")
                source = "s"
            self.emit(*self.phrase(number, operation, "t", source))
        if target.mode is Mode.INDIRECT:
            self.emit(f"if not 0 <= i < C: raise L.cell_fault(K[{number}], i)")
            if self.loops:
                self.emit(f"if i not in {undo}: {undo}[i] = m[i]")
        elif target.value >= MIN_CELLS:
            self.emit(f"if C <= {cell}: raise L.cell_fault(K[{number}], {cell})")
        self.emit(f"m[{cell}] = t")


def _writes_elsewhere(loop: Loop) -> bool:
    """True when the body may write cells that it does not name."""
    return any(
        op.name in REGIONS
        or op.name == "prg"
        or (op.name not in ("lpb", "lpe") and op.target is not None and op.target.mode is Mode.INDIRECT)
        for op in loop.body
    )


def _fragment(loop: Loop, length: str) -> str:
    return f"fragment(K[{loop.number}], {_address(loop.head.target)}, {length}, cells=m, bounds=L)"


def _is_constant(operand: Operand | None) -> bool:
    return operand is not None and operand.mode is Mode.CONSTANT


def _address(operand: Operand | None) -> str:
    assert operand is not None
    return str(operand.value) if operand.mode is Mode.DIRECT else f"m[{operand.value}]"


def _value(operand: Operand | None) -> str:
    assert operand is not None
    return literal(operand.value) if operand.mode is Mode.CONSTANT else f"m[{_address(operand)}]"
