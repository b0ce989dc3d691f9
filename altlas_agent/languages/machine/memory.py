"""The cells of a running program: unwritten ones are 0, and what a loop changes can be undone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.languages.machine.faults import negative_index

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from altlas_agent.languages.loda import Operation
    from altlas_agent.languages.machine.faults import Bounds

Undo = dict[int, int]
"""What cells held before the pass of a loop that wrote them."""


class Cells(dict[int, int]):
    """Reading a cell that was never written gives 0 and does not create it."""

    def __missing__(self, index: int) -> int:
        if index < 0:
            raise negative_index(index)
        return 0


def region(start: int, length: int) -> tuple[int, int]:
    """First cell and the one behind the last: right of `start`, or left of it where length is negative."""
    return (start, start + length) if length > 0 else (start + length + 1, start + 1)


def change_region(
    operation: Operation, start: int, length: int, *, cells: Cells, undo: Undo | None, bounds: Bounds
) -> None:
    """Run clr, fil, rol or ror."""
    if length == 0:
        return
    first, end = region(start, length)
    if operation.name == "clr":
        _write(((index, 0) for index in _written(cells, max(first, 0), end)), cells, undo)
        return
    if first < 0:
        raise negative_index(first)
    if end > bounds.cells:
        raise bounds.cell_fault(operation, end - 1)
    if operation.name == "fil":
        values = [cells[start]] * (end - first)
    else:
        values = [cells[index] for index in range(first, end)]
        turn = 1 if operation.name == "rol" else -1
        values = values[turn:] + values[:turn]
    _write(zip(range(first, end), values, strict=True), cells, undo)


def store(
    operation: Operation,
    start: int,
    values: Iterable[int],
    *,
    cells: Cells,
    undo: Undo | None,
    bounds: Bounds,
) -> None:
    """Write the values into the cells from `start` on."""
    for index, value in enumerate(values, start):
        if not 0 <= index < bounds.cells:
            raise bounds.cell_fault(operation, index)
        _write(((index, value),), cells, undo)


def merge(outer: Undo, inner: Undo) -> None:
    """Keep for the outer loop what a completed pass of the inner one had noted."""
    for index, value in inner.items():
        outer.setdefault(index, value)


def fragment(operation: Operation, start: int, length: int, *, cells: Cells, bounds: Bounds) -> Undo:
    """The cells of a loop's region that are not 0, numbered from the region's start."""
    if length <= 0:
        return {}
    if length > bounds.cells:
        raise bounds.cell_fault(operation, length)
    if start < 0:
        raise negative_index(start)
    return {index - start: cells[index] for index in _written(cells, start, start + length) if cells[index]}


def is_less(new: Undo, old: Undo, length: int) -> bool:
    """True where the first cell that differs has become smaller; no cell up to it may be negative."""
    for index in sorted(new.keys() | old.keys()):
        value, before = new.get(index, 0), old.get(index, 0)
        if index >= length or value < 0:
            return False
        if value != before:
            return value < before
    return False


def is_smaller(new: tuple[int, ...], old: tuple[int, ...]) -> bool:
    """is_less() for regions of the same, small size."""
    for value, before in zip(new, old, strict=True):
        if value < 0:
            return False
        if value != before:
            return value < before
    return False


def _written(cells: Cells, first: int, end: int) -> Iterator[int]:
    """The cells of a region that exist, in no order; as a list, because the caller writes."""
    if end - first > len(cells):
        return iter([index for index in cells if first <= index < end])
    return iter([index for index in range(first, end) if index in cells])


def _write(pairs: Iterable[tuple[int, int]], cells: Cells, undo: Undo | None) -> None:
    for index, value in pairs:
        if undo is not None and index not in undo:
            undo[index] = cells[index]
        cells[index] = value
