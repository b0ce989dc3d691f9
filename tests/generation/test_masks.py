"""The table of masks stays small however many sets grammars offer, and forgets without a mistake."""

from __future__ import annotations

import numpy as np

from altlas_agent.generation.masks import FORBIDDEN, MAX_SETS, Masks
from altlas_agent.languages.tokens.grammar import Choice
from altlas_agent.languages.tokens.vocabulary import vocabulary


def choice(number: int) -> Choice:
    """The tokens that the bits of a number name."""
    allowed = [token for token in range(len(vocabulary())) if number >> token % 20 & 1]
    return Choice(dict.fromkeys(allowed, ()), dict.fromkeys(allowed, 0))


def are_right(masks: Masks, choices: list[Choice]) -> bool:
    made = masks.of(choices)
    expected = np.full_like(made, FORBIDDEN)
    for row, each in enumerate(choices):
        expected[row, list(each.options)] = 0
    return np.array_equal(made, expected)


def test_a_mask_allows_what_the_grammar_offers_and_nothing_else() -> None:
    assert are_right(Masks(), [choice(number) for number in (1, 5, 1, 12345)])


def test_choices_of_the_same_tokens_share_a_row() -> None:
    masks = Masks()
    masks.of([choice(7), choice(7), choice(8)])
    assert len(masks) == 2


def test_the_table_is_never_larger_than_its_limit_and_always_right() -> None:
    masks = Masks(most=16)
    choices = [choice(number) for number in range(1, 200)]
    for first in range(0, 190, 7):
        assert are_right(masks, choices[first : first + 10])
        assert len(masks) <= 16
        assert are_right(masks, [choices[0], choices[first], choices[-1]])


def test_one_batch_that_needs_more_than_the_limit_gets_it() -> None:
    masks = Masks(most=4)
    assert are_right(masks, [choice(number) for number in range(1, 40)])
    assert are_right(masks, [choice(1)])
    assert MAX_SETS > 1000
