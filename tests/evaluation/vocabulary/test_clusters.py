"""Tokens that come and go together, over distinct programs."""

from __future__ import annotations

import pytest

from altlas_agent.evaluation.vocabulary.clusters import Programs, clusters
from altlas_agent.languages.tokens.vocabulary import vocabulary

V = vocabulary()
LOOP = "FOR_EACH VAR_0 ARG_0 BLOCK_START OUTPUT VAR_0 BLOCK_END END"


def _programs(*texts: tuple[str, int, bool]) -> Programs:
    programs = Programs()
    for number, (text, count, solved) in enumerate(texts):
        for each in range(count):
            programs.add("t/task", V.numbers(text), f"{number}-{each}", solved=solved)
    return programs


def test_tokens_that_come_and_go_together_are_one_cluster() -> None:
    [loop] = clusters(_programs((LOOP, 10, True), ("OUTPUT INT_1 END", 10, False)).all())[:1]
    assert {"FOR_EACH", "VAR_0", "BLOCK_START"} <= set(loop.tokens)
    assert {"END", "OUTPUT"}.isdisjoint(loop.tokens)
    assert (loop.programs, loop.solved) == (10, 10)
    assert loop.phi == pytest.approx(1.0)
    assert loop.fingerprint == "0-0"


def test_a_program_that_is_proposed_again_and_again_is_one_program() -> None:
    programs = Programs()
    for _ in range(100):
        programs.add("t/task", V.numbers(LOOP), "same", solved=False)
    programs.add("t/task", V.numbers(LOOP), "same", solved=True)
    assert [program.solved for program in programs.all()] == [True]
    assert clusters(programs.all()) == []


def test_tokens_that_have_nothing_to_do_with_each_other_are_in_no_cluster() -> None:
    texts = [
        (f"OUTPUT {first} {second} INT_1 END", 10, False)
        for first in ("ABS", "SUM")
        for second in ("LEN_STR", "LEN_LIST")
    ]
    found = clusters(_programs(*texts).all())
    assert not any({"ABS", "LEN_STR"} <= set(line.tokens) for line in found)


def test_a_stronger_tie_can_be_asked_for() -> None:
    texts = ((LOOP, 10, False), ("FOR_EACH INT_1 END", 6, False), ("OUTPUT INT_1 END", 10, False))
    loose = clusters(_programs(*texts).all(), threshold=0.3)
    tight = clusters(_programs(*texts).all(), threshold=0.99)
    assert max(line.size for line in tight) < max(line.size for line in loose)


@pytest.mark.parametrize("threshold", [0.0, 1.5, float("nan")])
def test_a_threshold_that_is_no_correlation_is_refused(threshold: float) -> None:
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        clusters([], threshold=threshold)
