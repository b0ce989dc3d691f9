"""From the parts of a score to one number, and the names under which steps after that are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

UNSOLVED_CEILING = 0.95
"""No attempt that does not solve its task scores more; none that solves it scores less."""

NOVELTY = "novelty"
"""The one part that is known only where attempts are consumed in their order."""

SHAPED = "shaped."
"""What the names of parts begin with that are no scorer's: the score before and after each step of shaping."""

START = "shaped.start"
"""The score as the worker gave it."""

FORM_SHARE = "shaped.form_share"
"""Not a score: the weight that the form of a program had against what it means."""

UNPARSED = "the program does not parse"
"""The violation of a text that is no program."""


def weighted_mean(parts: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """0 where nothing has a weight. A part without a weight does not count, nor a weight without its part."""
    total = sum(weight_of(name, weights) for name in parts)
    return sum(weight_of(name, weights) * value for name, value in parts.items()) / total if total else 0.0


def weight_of(name: str, weights: Mapping[str, float]) -> float:
    return weights.get(name, 0.0)


def scorers_of(parts: Mapping[str, float]) -> dict[str, float]:
    """The parts that the worker gave: no step of shaping, and not how new the program was."""
    return {name: value for name, value in parts.items() if name != NOVELTY and not name.startswith(SHAPED)}


def only(parts: Mapping[str, float], names: Iterable[str]) -> dict[str, float]:
    """Those parts that have one of these names, in their order."""
    wanted = frozenset(names)
    return {name: value for name, value in parts.items() if name in wanted}
