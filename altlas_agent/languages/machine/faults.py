"""What can end a LODA program early, and the limits within which it runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from altlas_agent.core.errors import LanguageError

if TYPE_CHECKING:
    from altlas_agent.languages.loda import Operation

MIN_CELLS = 64
MIN_DIGITS = 20
MIN_BITS = 64
MAX_CALL_DEPTH = 64
_MAX_PLACE = 60
CPP_BITS = 3_840  # where the numbers of loda-cpp end: 60 words of 64 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one term may take, the programs it calls included.

    Cells are numbered below `max_cells`. Numbers of more than `max_digits` digits break a limit; those
    of more than `overflow_bits` bits are the error "overflow", as in an interpreter whose numbers end.
    """

    max_steps: int = 100_000_000
    max_cells: int = 100_000
    max_digits: int = 10_000
    overflow_bits: int | None = None

    def __post_init__(self) -> None:
        for name, value, least in (
            ("max_steps", self.max_steps, 1),
            ("max_cells", self.max_cells, MIN_CELLS),
            ("max_digits", self.max_digits, MIN_DIGITS),
            ("overflow_bits", MIN_BITS if self.overflow_bits is None else self.overflow_bits, MIN_BITS),
        ):
            if value < least:
                raise LanguageError(f"{name} is {value}; LODA programs need at least {least}")


class LodaError(LanguageError):
    """Raised when a program does what the language forbids.

    `kind` is overflow (a result is undefined or too large), negative_index, invalid_id,
    seq_invalid_argument, recursion, missing_ports, or limit.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class LodaLimitError(LodaError):
    """Raised when a program breaks a limit; `limit` is steps, cells, digits or calls."""

    def __init__(self, limit: str, message: str) -> None:
        super().__init__("limit", message)
        self.limit = limit


class Bounds:
    """The limits of a machine as its engines need them."""

    def __init__(self, limits: Limits) -> None:
        self.steps = limits.max_steps
        self.cells = limits.max_cells
        self.high: int = 10**limits.max_digits - 1
        self.size = f"{limits.max_digits} digits"
        end: int | None = None if limits.overflow_bits is None else 2**limits.overflow_bits - 1
        self.ends = end is not None and end <= self.high
        """True where intermediate results, too, are numbers that end."""
        if end is not None and self.ends:
            self.high, self.size = end, f"{limits.overflow_bits} bits"
        self.low = -self.high
        self.too_large = self.high + 1
        self.bits = self.high.bit_length()

    def number_fault(self, place: Operation | str, value: int | None) -> LodaError:
        """Why a result cannot be stored: it is undefined (None), or has too many digits."""
        if value is None:
            return LodaError("overflow", f"{_clipped(place)}: the result is undefined")
        problem = f"{_clipped(place)}: a number of more than {self.size}"
        return LodaError("overflow", problem) if self.ends else LodaLimitError("digits", problem)

    def cell_fault(self, place: Operation, index: int) -> LodaError:
        """Why a cell cannot be written: its number is negative or too large."""
        if index < 0:
            return negative_index(index)
        return LodaLimitError(
            "cells", f"{place}: cell {shown(index)} is beyond the {self.cells} cells there are"
        )

    def step_fault(self) -> LodaError:
        return LodaLimitError("steps", f"more than {self.steps} steps")


def negative_index(index: int) -> LodaError:
    return LodaError("negative_index", f"memory access with negative index {shown(index)}")


def _clipped(place: Operation | str) -> str:
    """Constants can have thousands of digits."""
    text = str(place)
    return text if len(text) <= _MAX_PLACE else f"{text[:_MAX_PLACE]}..."


def shown(number: int) -> str:
    """A number for a message."""
    return str(number) if number.bit_length() <= 200 else f"(of {number.bit_length()} bits)"
