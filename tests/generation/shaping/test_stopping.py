"""A program that is ended early is still a whole one, for a reason, and by the cheapest way."""

from __future__ import annotations

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from altlas_agent.core.records import Constraints, Kind, Strategy, Task
from altlas_agent.generation.constrained import start
from altlas_agent.generation.shaping.stopping import ENTROPY, REPETITION, Stopper, closing
from altlas_agent.languages.tokens.grammar import check
from tests.languages.programs import task_of

TASKS = [
    task_of(params=("num", "list"), max_tokens=30),
    task_of(kind=Kind.STDOUT, numbers=(5, 3), constraints=Constraints(max_tokens=12)),
    task_of(params=("words",), returns="str", max_tokens=30),
]
SURE, UNSURE = (torch.tensor([logits]).log_softmax(-1) for logits in ([9.0, 0.0, 0.0], [0.0, 0.0, 0.0]))


@given(st.sampled_from(TASKS), st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_wherever_a_program_is_ended_it_becomes_a_whole_one(chosen: Task, seed: int) -> None:
    chance = random.Random(seed)
    derivation, tokens = start(chosen), list[int]()
    for _ in range(chance.randrange(12)):
        if derivation.done:
            break
        tokens.append(chance.choice(list(derivation.options())))
        derivation.advance(tokens[-1])
    slack = derivation.slack
    tokens += closing(derivation)
    check(chosen, tuple(tokens))
    assert derivation.slack == slack, "a token more than the cheapest end was written"


def test_the_way_to_an_end_is_always_the_same() -> None:
    ends = [closing(start(TASKS[0])) for _ in range(3)]
    assert ends[0] == ends[1] == ends[2]


def run(stopper: Stopper, tokens: list[int], logps: torch.Tensor = SURE) -> list[dict[int, str]]:
    return [stopper.wrote(logps, [3], [token]) for token in tokens]


@pytest.mark.parametrize("tokens", [[1, 1, 1], [1, 2, 1, 2, 1, 2], [9, 1, 2, 3, 1, 2, 3, 1, 2, 3]])
def test_the_same_tokens_three_times_in_a_row_are_a_repetition(tokens: list[int]) -> None:
    told = run(Stopper([Strategy(name="s", stop_repeats=3)]), tokens)
    assert told[-1] == {0: REPETITION}
    assert not any(told[:-1])


def test_tokens_that_come_again_but_not_in_a_row_are_none() -> None:
    assert not any(run(Stopper([Strategy(name="s", stop_repeats=2)]), [1, 2, 3, 4, 5, 1, 6, 2]))


def test_no_program_ends_before_its_least_length() -> None:
    told = run(Stopper([Strategy(name="s", stop_repeats=2, stop_after=5)]), [1] * 6)
    assert [bool(each) for each in told] == [False] * 4 + [True] * 2


def test_an_undecided_policy_ends_a_program_and_a_decided_one_does_not() -> None:
    strategy = Strategy(name="s", stop_entropy=0.9)
    assert not any(run(Stopper([strategy]), list(range(20)), SURE))
    told = run(Stopper([strategy]), list(range(20)), UNSURE)
    assert told[-1] == {0: ENTROPY}
    assert not told[0], "one undecided token is no reason"


def test_where_there_is_no_choice_nothing_is_learned_of_the_policy() -> None:
    stopper = Stopper([Strategy(name="s", stop_entropy=0.9)])
    assert not any(stopper.wrote(UNSURE, [1], [token]) for token in range(20))


def test_programs_that_do_not_ask_for_it_are_never_ended() -> None:
    stopper = Stopper([Strategy(name="plain"), Strategy(name="s", stop_repeats=2)])
    assert [stopper.wrote(UNSURE, [3, 3], [1, 1]) for _ in range(2)][-1] == {1: REPETITION}
    stopper.keep([0])
    assert not any(stopper.wrote(UNSURE, [3], [1]) for _ in range(9))
