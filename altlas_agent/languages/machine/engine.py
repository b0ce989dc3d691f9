"""What an engine is: it runs operations on cells for a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from altlas_agent.languages.loda import ONE

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.languages.loda import Operation
    from altlas_agent.languages.machine.faults import Bounds
    from altlas_agent.languages.machine.memory import Cells


class Host(Protocol):
    """What running operations need from outside: bounds, and the values of other programs.

    Both calls return what is left of the steps too.
    """

    bounds: Bounds

    def call(self, number: int, argument: int, left: int) -> tuple[int, int]: ...

    def call_ports(self, number: int, start: int, cells: Cells, left: int) -> tuple[list[int], int]: ...


Engine: TypeAlias = "Callable[[Cells, int, Host], int]"
"""Runs on the given cells with so many steps left, and returns how many are left after it.

The results stand in the first cells; what others hold is not defined. Raises LodaError.
"""


def block_lengths(operations: tuple[Operation, ...]) -> dict[int, int]:
    """Straight-line blocks: number of the first operation -> how many; lpb, lpe, seq and prg end one.

    Steps are paid for a whole block before its first operation, in every engine alike.
    """
    lengths: dict[int, int] = {}
    start = 0
    for number, operation in enumerate(operations, start=1):
        if operation.name in ("lpb", "lpe", "seq", "prg") or number == len(operations):
            lengths[start] = number - start
            start = number
    return lengths


def has_regions(operations: tuple[Operation, ...]) -> bool:
    """True when the loops of the program compare regions, because one of them has a length other than 1."""
    return any(op.name == "lpb" and op.source != ONE for op in operations)
