"""Diversity: how new a program is among those proposed for its task before, and how varied texts are together.

What was proposed before depends on the order of attempts, so it is asked where attempts are consumed in that
order, never in a worker. A program is known by its fingerprint: renaming and layout make no new one.
"""

from __future__ import annotations

import math
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_GRAM = 3


def novelty(proposed_before: int) -> float:
    """1 for a program that was not proposed before, 1/2 after one time, 1/3 after two."""
    return 1.0 / (1.0 + proposed_before)


def remember(seen: dict[str, int], fingerprint: str, most: int) -> None:
    """Count one more proposal in `seen`; of more than `most` programs, those forgotten longest ago go."""
    seen[fingerprint] = seen.pop(fingerprint, 0) + 1
    while len(seen) > most:
        del seen[next(iter(seen))]


def distinct_n(texts: Sequence[Sequence[str]], n: int) -> float:
    """Different n-grams by all n-grams of these texts, each a sequence of words; 0 where there is none.

    Li and others 2016. Noise in single words raises it.
    """
    grams = [gram for words in texts for gram in _grams(words, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def self_bleu(texts: Sequence[Sequence[str]], longest: int = LONGEST_GRAM) -> float:
    """The mean BLEU of each text against all others, 0..1: high where all say the same. 0 for fewer than two.

    n-grams up to `longest` count alike; one that no other text has counts as 0.1 (smoothing method 1).
    Texygen 2018.
    """
    if len(texts) < 2:
        return 0.0
    scores = [_bleu(text, [*texts[:place], *texts[place + 1 :]], longest) for place, text in enumerate(texts)]
    return math.fsum(scores) / len(scores)


def _bleu(text: Sequence[str], others: Sequence[Sequence[str]], longest: int) -> float:
    if not text:
        return 0.0
    logs = [math.log(_precision(text, others, n)) for n in range(1, longest + 1)]
    nearest = min((abs(len(each) - len(text)), len(each)) for each in others)[1]
    brevity = 1.0 if len(text) >= nearest else math.exp(1.0 - nearest / len(text))
    return brevity * math.exp(math.fsum(logs) / longest)


def _precision(text: Sequence[str], others: Sequence[Sequence[str]], n: int) -> float:
    own = Counter(_grams(text, n))
    most: Counter[tuple[str, ...]] = Counter()
    for other in others:
        most |= Counter(_grams(other, n))
    hits = (own & most).total()
    return max(hits, 0.1) / max(own.total(), 1)


def _grams(words: Sequence[str], n: int) -> list[tuple[str, ...]]:
    return [tuple(words[first : first + n]) for first in range(len(words) - n + 1)]


def vendi(likeness: Sequence[Sequence[float]]) -> float:
    """How many different things a matrix of likenesses speaks of: exp of the entropy of its eigenvalues by n.

    The matrix is symmetric with ones on its diagonal. Vendi Score 2022.
    """
    size = len(likeness)
    values = [max(value / size, 0.0) for value in _eigenvalues([list(row) for row in likeness])]
    return math.exp(-math.fsum(value * math.log(value) for value in values if value > 1e-12))


def _eigenvalues(matrix: list[list[float]], sweeps: int = 30) -> list[float]:
    """Jacobi's rotations: matrices here are small, and what starts with this module must start fast."""
    size = len(matrix)
    for _ in range(sweeps):
        if math.fsum(abs(matrix[i][j]) for i in range(size) for j in range(i)) < 1e-12:
            break
        for i, j in chain.from_iterable(((i, j) for j in range(i)) for i in range(size)):
            _rotate(matrix, i, j)
    return [matrix[place][place] for place in range(size)]


def _rotate(matrix: list[list[float]], i: int, j: int) -> None:
    """Turn the plane of i and j so that their common entry becomes 0."""
    if abs(matrix[i][j]) < 1e-15:
        return
    angle = 0.5 * math.atan2(2.0 * matrix[i][j], matrix[j][j] - matrix[i][i])
    cosine, sine = math.cos(angle), math.sin(angle)
    for row in matrix:
        row[i], row[j] = cosine * row[i] - sine * row[j], sine * row[i] + cosine * row[j]
    matrix[i], matrix[j] = (
        [cosine * a - sine * b for a, b in zip(matrix[i], matrix[j], strict=True)],
        [sine * a + cosine * b for a, b in zip(matrix[i], matrix[j], strict=True)],
    )
