"""What the grammar arm draws by: half to finish a hole, half to open more, and what the task brings itself first."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from altlas_agent.languages.tokens.vocabulary import vocabulary

if TYPE_CHECKING:
    import random
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from altlas_agent.languages.tokens.grammar import Derivation

# What the task itself brings (its literals, arguments and variables) comes before constants.
_FINISHING_SHARE = 0.55
_OWN_WEIGHT = 4.0
_OWN = ("NUM_", "STR_", "ARG_", "VAR_")


def drawn_from_grammar(derivation: Derivation, rng: random.Random) -> int:
    """One token as the grammar arm draws it, without a policy and without boosts."""
    options = derivation.options()
    tokens = list(options)
    return rng.choices(tokens, np.exp(grammar_prior(options)[tokens], dtype=np.float64).tolist())[0]


def grammar_prior(options: Mapping[int, tuple[str, ...]]) -> NDArray[np.float32]:
    """(V,) log chances of the grammar arm, for the options of a derivation."""
    return _prior(tuple((token, not holes) for token, holes in options.items()))


@lru_cache(maxsize=65_536)
def _prior(options: tuple[tuple[int, bool], ...]) -> NDArray[np.float32]:
    """(V,) log chances of the grammar arm for a set of options (token, whether it finishes the hole)."""
    words = vocabulary()
    weights = np.zeros(len(words), dtype=np.float64)
    for token, _ in options:
        weights[token] = _OWN_WEIGHT if words.tokens[token].name.startswith(_OWN) else 1.0
    finishing = [token for token, finishes in options if finishes]
    opening = [token for token, finishes in options if not finishes]
    if finishing and opening:
        weights[finishing] *= _FINISHING_SHARE / weights[finishing].sum()
        weights[opening] *= (1.0 - _FINISHING_SHARE) / weights[opening].sum()
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(weights), -60.0).astype(np.float32)
