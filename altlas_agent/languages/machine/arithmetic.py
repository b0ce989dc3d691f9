"""The arithmetic of LODA on exact integers; None stands for a result that is undefined."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.languages.machine.faults import Bounds

_DIGIT_GROUP = 16


def calculate(name: str, a: int, b: int, bounds: Bounds) -> int | None:
    """The value of `name a,b`, perhaps beyond the bounds; a hopelessly large one is only known as that."""
    plain = PLAIN.get(name)
    return plain(a, b) if plain is not None else BOUNDED[name](a, b, bounds)


def trn(a: int, b: int, bounds: Bounds) -> int:
    difference = a - b
    return difference if difference < bounds.low else max(difference, 0)


def div(a: int, b: int) -> int | None:
    """Rounds toward zero."""
    if b == 0:
        return None
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def mod(a: int, b: int) -> int | None:
    """Takes the sign of the dividend."""
    if b == 0:
        return None
    rest = abs(a) % abs(b)
    return rest if a >= 0 else -rest


def dif(a: int, b: int) -> int:
    """Divides only where nothing remains."""
    return a // b if b and not a % b else a


def dir_(a: int, b: int) -> int:
    """Divides as often as nothing remains."""
    return a // int(b ** lex(a, b))


def lex(a: int, b: int) -> int:
    """How often b divides a."""
    a, b = abs(a), abs(b)
    if a == 0 or b <= 1 or a % b:
        return 0
    powers = [b]
    count = 0
    while not a % powers[-1]:
        a //= powers[-1]
        count += 1 << len(powers) - 1
        powers.append(powers[-1] * powers[-1])
    for place in range(len(powers) - 2, -1, -1):
        if not a % powers[place]:
            a //= powers[place]
            count += 1 << place
    return count


def pow_(a: int, b: int, bounds: Bounds) -> int | None:
    if a in (1, -1):
        return a if b & 1 else 1
    if a == 0:
        return None if b < 0 else int(b == 0)
    if b < 0:
        return 0
    if b * (a.bit_length() - 1) > bounds.bits:
        return bounds.too_large
    return int(a**b)


def bin_(n: int, k: int, bounds: Bounds) -> int:
    """The binomial coefficient, for negative arguments as in arXiv:1105.3689."""
    is_odd = False
    if n < 0:
        if k >= 0:
            is_odd, n = bool(k & 1), k - n - 1
        elif n >= k:
            is_odd, n, k = bool(n - k & 1), -k - 1, n - k
        else:
            return 0
    if not 0 <= k <= n:
        return 0
    k = min(k, n - k)
    if k and k * ((n // k).bit_length() - 1) > bounds.bits:
        return bounds.too_large
    value = math.comb(n, k)
    if bounds.ends and value * k > bounds.high:  # the product before the last division
        return bounds.too_large
    return -value if is_odd else value


def fac(n: int, k: int, bounds: Bounds) -> int:
    """The product of |k| factors from n upward, or downward where k is negative."""
    step = 1 if k >= 0 else -1
    last = n + step * (abs(k) - 1)
    if k and not bounds.ends and min(n, last) <= 0 <= max(n, last):
        return 0
    value = 1
    for _ in range(min(abs(k), bounds.bits + 3)):  # all factors but three are at least 2
        value *= n
        if value == 0 or not bounds.low <= value <= bounds.high:
            return value
        n += step
    return value


def log(a: int, b: int) -> int | None:
    """Rounded down."""
    if a < 1 or b < 2:
        return None
    powers: list[int] = []
    power = b
    while power <= a:
        powers.append(power)
        power *= power
    count = 0
    for place in range(len(powers) - 1, -1, -1):
        if a >= powers[place]:
            a //= powers[place]
            count += 1 << place
    return count


def nrt(a: int, b: int) -> int | None:
    """The b-th root, rounded down."""
    if a < 0 or b < 1:
        return None
    if a < 2 or b == 1:
        return a
    if b == 2:
        return math.isqrt(a)
    if b >= a.bit_length():
        return 1
    return _root(a, b)


def _root(a: int, b: int) -> int:
    """Newton's method, from a start that is above the root and for large b close to it."""
    bits = math.log2(a) / b
    guess = int(2.0**bits * (1 + 1e-9)) + 1 if bits < 1000 else 1 << -(-a.bit_length() // b)
    while True:
        better = ((b - 1) * guess + a // guess ** (b - 1)) // b
        if better >= guess:
            return guess
        guess = better


def dgs(a: int, b: int) -> int | None:
    """The sum of the digits in base b, with the sign of a."""
    if b < 2:
        return None
    rest = abs(a)
    total = rest.bit_count() if b == 2 else _digit_sum(rest, b)
    return total if a >= 0 else -total


def _digit_sum(rest: int, base: int) -> int:
    group = base**_DIGIT_GROUP  # large numbers are divided rarely, small ones often
    total = 0
    while rest:
        rest, part = divmod(rest, group)
        while part:
            part, digit = divmod(part, base)
            total += digit
    return total


def dgr(a: int, b: int) -> int | None:
    """The digital root in base b, with the sign of a."""
    if b < 2:
        return None
    if a == 0:
        return 0
    root = 1 + (abs(a) - 1) % (b - 1)
    return root if a > 0 else -root


PLAIN: dict[str, Callable[[int, int], int | None]] = {
    "mov": lambda a, b: b,
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": div,
    "dif": dif,
    "dir": dir_,
    "mod": mod,
    "gcd": math.gcd,
    "lex": lex,
    "log": log,
    "nrt": nrt,
    "dgs": dgs,
    "dgr": dgr,
    "equ": lambda a, b: int(a == b),
    "neq": lambda a, b: int(a != b),
    "leq": lambda a, b: int(a <= b),
    "geq": lambda a, b: int(a >= b),
    "min": min,
    "max": max,
    "ban": lambda a, b: a & b,
    "bor": lambda a, b: a | b,
    "bxo": lambda a, b: a ^ b,
}
"""Operations whose value is never much larger than their operands."""

BOUNDED: dict[str, Callable[[int, int, Bounds], int | None]] = {
    "trn": trn,
    "pow": pow_,
    "bin": bin_,
    "fac": fac,
}
"""Operations that have to know where numbers end."""
