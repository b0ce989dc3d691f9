"""How often tokens are used, by success and failure, and which together."""

from __future__ import annotations

import math

import pytest

from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.languages.usage.counts import Tally, TokenLine, Written, pair_lines, token_lines

V = vocabulary()


def _tally(*programs: tuple[str, bool]) -> Tally:
    tally = Tally()
    tally.add(Written(V.numbers(text), solved) for text, solved in programs)
    return tally


def _lines(tally: Tally) -> dict[str, TokenLine]:
    return {line.token: line for line in token_lines(tally)}


def test_tokens_are_counted_as_often_as_they_are_written_and_once_for_each_program() -> None:
    lines = _lines(_tally(("OUTPUT ADD INT_1 INT_1 END", True), ("OUTPUT INT_1 END", False)))
    assert (lines["INT_1"].count, lines["INT_1"].programs) == (3, 2)
    assert lines["INT_1"].share == pytest.approx(3 / 8)
    assert (lines["ADD"].solved, lines["ADD"].failed) == (1, 0)
    assert lines["MUL"].count == 0


def test_the_lift_tells_what_programs_that_solve_have_more_often() -> None:
    programs = [("OUTPUT ADD INT_1 INT_2 END", True)] * 30 + [("OUTPUT SUB INT_1 INT_2 END", False)] * 30
    lines = _lines(_tally(*programs))
    assert lines["ADD"].lift == pytest.approx(math.log2(31))
    assert lines["SUB"].lift == pytest.approx(-math.log2(31))
    assert lines["OUTPUT"].lift == pytest.approx(0.0)


def test_a_token_that_crowds_out_its_role_is_over_used_and_the_others_under_used() -> None:
    lines = _lines(_tally(*[("OUTPUT ADD ADD ADD INT_1 INT_2 INT_1 INT_2 END", False)] * 100))
    assert lines["ADD"].use == "over"
    assert {lines[name].use for name in ("SUB", "MUL", "MOD")} == {"under"}


@pytest.mark.parametrize("token", ["END", "OUTPUT", "BLOCK_START", "VAR_0", "NUM_0", "STR_0", "FUNC_0"])
def test_what_every_program_needs_is_not_judged(token: str) -> None:
    lines = _lines(_tally(*[("OUTPUT NUM_0 END", False)] * 1000))
    assert (lines[token].use, lines[token].balance) == ("", None)


def test_a_role_that_hardly_occurs_is_not_judged() -> None:
    assert _lines(_tally(("OUTPUT ADD INT_1 INT_2 END", False)))["ADD"].use == ""


def test_pairs_are_counted_once_for_each_program_with_how_much_they_attract_each_other() -> None:
    programs = [
        ("OUTPUT UPPER STR_0 END", True),
        ("OUTPUT UPPER STR_0 END", False),
        ("OUTPUT INT_1 END", False),
        ("OUTPUT INT_2 END", False),
    ]
    lines = {(line.first, line.second): line for line in pair_lines(_tally(*programs))}
    pair = lines["STR_0", "UPPER"]
    assert (pair.programs, pair.solved, pair.share) == (2, 1, 0.5)
    assert pair.lift == pytest.approx(1.0)
    assert ("OUTPUT", "INT_1") not in lines
    assert lines["END", "OUTPUT"].lift == pytest.approx(0.0)


def test_numbers_of_another_vocabulary_are_shown_as_numbers() -> None:
    tally = Tally()
    tally.add([Written((0, 300), solved=False)])
    lines = _lines(tally)
    assert (lines["#300"].count, lines["#300"].role) == (1, "")
    assert "#299" not in lines


def test_nothing_counted_is_no_division_by_nothing() -> None:
    assert {line.count for line in token_lines(Tally())} == {0}
    assert pair_lines(Tally()) == []
