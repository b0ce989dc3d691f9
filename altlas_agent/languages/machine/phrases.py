"""Python statements for one arithmetic operation on variables: t becomes `operation t,s`."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

SMALL = 10**18
"""Constants below it are within the bounds of every machine, so that storing them needs no check."""

SIGNS = {"add": "+", "sub": "-", "mul": "*", "ban": "&", "bor": "|", "bxo": "^"}
COMPARISONS = {"equ": "==", "neq": "!=", "leq": "<=", "geq": ">="}


class Phrase(NamedTuple):
    """One operation: `t` is a variable, `s` a variable or literal, `constant` its value if known.

    The statements use L (Bounds), N and B (its lowest and highest number) and K (the operations).
    """

    number: int
    name: str
    t: str
    s: str
    constant: int | None

    def fault(self, value: str = "") -> str:
        return f"raise L.number_fault(K[{self.number}], {value or self.t})"

    def check(self) -> str:
        return f"if not N <= {self.t} <= B: {self.fault()}"

    def lines(self) -> list[str]:
        writer = _WRITERS.get(self.name)
        if writer is not None:
            return writer(self)
        if self.name in COMPARISONS:
            return [f"{self.t} = 1 if {self.t} {COMPARISONS[self.name]} {self.s} else 0"]
        return [f"{self.t} {SIGNS[self.name]}= {self.s}", self.check()]


def _mov(p: Phrase) -> list[str]:
    return [f"{p.t} = {p.s}", *_check_constant(p)]


def _min(p: Phrase) -> list[str]:
    return [f"if {p.s} {'<' if p.name == 'min' else '>'} {p.t}: {p.t} = {p.s}", *_check_constant(p)]


def _check_constant(p: Phrase) -> list[str]:
    return [] if p.constant is None or abs(p.constant) < SMALL else [p.check()]


def _sum(p: Phrase) -> list[str]:
    """Adding a constant can break one bound only."""
    line = f"{p.t} {SIGNS[p.name]}= {p.s}"
    if p.constant is None:
        return [line, p.check()]
    if p.constant == 0:
        return []
    grows = (p.constant > 0) == (p.name == "add")
    return [line, f"if {p.t} {'> B' if grows else '< N'}: {p.fault()}"]


def _trn(p: Phrase) -> list[str]:
    return [
        f"{p.t} -= {p.s}",
        f"if {p.t} < 0:",
        f"    if {p.t} < N: {p.fault()}",
        f"    {p.t} = 0",
        f"elif {p.t} > B: {p.fault()}",
    ]


def _div(p: Phrase) -> list[str]:
    if p.constant is None:
        return [
            f"if {p.t} >= 0 < {p.s}: {p.t} //= {p.s}",
            f"elif {p.s}: {p.t} = div({p.t}, {p.s})",
            f"else: {p.fault('None')}",
        ]
    if p.constant == 0:
        return [p.fault("None")]
    size = abs(p.constant)
    plus, minus = f"{p.t} // {size}", f"-(-{p.t} // {size})"
    if p.constant < 0:
        plus, minus = f"-({plus})", f"-{p.t} // {size}"
    return [f"{p.t} = {plus} if {p.t} >= 0 else {minus}"]


def _mod(p: Phrase) -> list[str]:
    if p.constant is None:
        return [
            f"if {p.t} >= 0 < {p.s}: {p.t} %= {p.s}",
            f"elif {p.s}: {p.t} = mod({p.t}, {p.s})",
            f"else: {p.fault('None')}",
        ]
    if p.constant == 0:
        return [p.fault("None")]
    size = abs(p.constant)
    return [f"{p.t} = {p.t} % {size} if {p.t} >= 0 else -(-{p.t} % {size})"]


def _dif(p: Phrase) -> list[str]:
    if p.constant is None:
        return [f"if {p.s} and not {p.t} % {p.s}: {p.t} //= {p.s}"]
    return [f"if not {p.t} % {p.s}: {p.t} //= {p.s}"] if p.constant else []


def _total(p: Phrase) -> list[str]:
    """A function whose result is no larger than its arguments."""
    return [f"{p.t} = {p.name}({p.t}, {p.s})", *_check_constant(p)]


def _partial(p: Phrase) -> list[str]:
    """A function that is not defined everywhere."""
    return [f"{p.t} = {p.name}({p.t}, {p.s})", f"if {p.t} is None: {p.fault()}"]


def _bounded(p: Phrase) -> list[str]:
    """A function whose result can be far too large."""
    if p.name == "pow" and p.constant == 2:
        return [f"{p.t} *= {p.t}", f"if {p.t} > B: {p.fault()}"]
    is_fault = f"{p.t} is None or not N <= {p.t} <= B"
    return [f"{p.t} = {p.name}({p.t}, {p.s}, L)", f"if {is_fault}: {p.fault()}"]


_WRITERS: dict[str, Callable[[Phrase], list[str]]] = {
    "mov": _mov, "min": _min, "max": _min, "add": _sum, "sub": _sum, "trn": _trn,
    "div": _div, "mod": _mod, "dif": _dif, "dir": _total, "gcd": _total, "lex": _total,
    "log": _partial, "nrt": _partial, "dgs": _partial, "dgr": _partial,
    "pow": _bounded, "bin": _bounded, "fac": _bounded,
}  # fmt: skip
