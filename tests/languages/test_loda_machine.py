"""Running LODA: terms, calls to other programs, and every limit by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import LanguageError
from altlas_agent.languages.loda import parse
from altlas_agent.languages.loda_machine import Limits, LodaError, LodaLimitError, Machine, decimal, evaluate

if TYPE_CHECKING:
    from collections.abc import Callable

    from altlas_agent.languages.loda import Program

FIBONACCI = "mov $1,0\nmov $2,1\nlpb $0\n  mov $3,$2\n  add $2,$1\n  mov $1,$3\n  sub $0,1\nlpe\nmov $0,$1\n"
ENDLESS = "mov $1,1000000000000\nlpb $1\n  sub $1,1\nlpe\n"


def resolver(programs: dict[str, str]) -> Callable[[str], Program | None]:
    return lambda name: parse(programs[name]) if name in programs else None


def test_terms_start_at_the_offset_of_the_program_or_at_the_given_one() -> None:
    squares = parse("#offset 2\n\npow $0,2\n")
    assert evaluate(squares, 3).terms == (4, 9, 16)
    assert evaluate(squares, 3, offset=-1).terms == (1, 0, 1)


def test_numbers_are_exact_at_any_size() -> None:
    machine = Machine(Limits(max_steps=100_000))
    value, steps = machine.term(parse(FIBONACCI), 10_000)
    assert decimal(value).startswith("33644764876431783266621612005107543310302148460680063906564769974680")
    assert len(decimal(value)) == 2090
    assert steps == 5 * 10_000 + 9


@pytest.mark.parametrize("digits", [1, 3_999, 4_000, 4_001, 12_345])
@pytest.mark.parametrize("extra", [-1, 0, 7])
@pytest.mark.parametrize("sign", [1, -1])
def test_numbers_of_any_size_have_digits(digits: int, extra: int, sign: int) -> None:
    number = 10 ** (digits - 1) + extra
    text = decimal(sign * number)
    shown = text.removeprefix("-")
    value = 0
    for start in range(0, len(shown), 1000):
        part = shown[start : start + 1000]
        value = value * 10 ** len(part) + int(part)
    assert value == number
    assert text.startswith("-") == (sign * number < 0)
    assert shown == "0" or not shown.startswith("0")


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        (ENDLESS, "steps"),
        ("mov $1,2\npow $1,100000\n", "digits"),
        ("mov $1,2\npow $1,1000000000000000000000\n", "digits"),
        ("fac $0,1000000000\n", "digits"),
        ("mov $1,1000000000000\nmul $1,2\nbin $1,1000000000\n", "digits"),
        ("mov $1,10\nlpb $0\n  mul $1,$1\n  add $2,1\n  sub $0,1\nlpe\n", "digits"),
        ("mov $1,100000\nmov $$1,1\n", "cells"),
        ("mov $100000,1\n", "cells"),
        ("fil $0,100001\n", "cells"),
        ("mov $1,1000000\nrol $0,$1\n", "cells"),
        ("lpb $0,100001\n  sub $0,1\nlpe\n", "cells"),
    ],
)
def test_a_broken_limit_is_named(code: str, limit: str) -> None:
    found = evaluate(parse(code), 30, offset=3, limits=Limits(max_steps=10_000))
    assert (found.error, found.limit) == ("limit", limit)


def test_terms_before_an_error_are_kept_and_the_message_says_where_it_was() -> None:
    found = evaluate(parse("mov $1,3\nsub $1,$0\nmov $0,12\ndiv $0,$1\n"), 8, offset=1)
    assert (found.terms, found.steps, found.error, found.limit) == ((6, 12), (4, 4), "overflow", None)
    assert found.message == "term 3 (n = 3): div $0,$1: the result is undefined"


def test_messages_stay_short_whatever_the_constants() -> None:
    found = evaluate(parse("mov $0," + "9" * 4000), 1, limits=Limits(max_digits=20))
    assert (found.error, found.limit) == ("limit", "digits")
    assert len(found.message) < 200


def test_steps_are_counted_as_the_exact_limit() -> None:
    program = parse(FIBONACCI)
    steps = Machine().term(program, 20)[1]
    assert Machine(Limits(max_steps=steps)).term(program, 20)[0] == 6765
    with pytest.raises(LodaLimitError, match=f"more than {steps - 1} steps") as caught:
        Machine(Limits(max_steps=steps - 1)).term(program, 20)
    assert caught.value.limit == "steps"


def test_a_call_gives_the_term_of_the_other_program_and_its_steps() -> None:
    resolve = resolver({"A000045": FIBONACCI})
    machine = Machine(resolve=resolve)
    program = parse("seq $0,45\n")
    assert machine.evaluate(program, 8).terms == (0, 1, 1, 2, 3, 5, 8, 13)
    assert machine.term(program, 7) == machine.term(program, 7) == (13, 1 + 9 + 5 * 7)  # remembered or not


@pytest.mark.parametrize("name", ["prg $1,1", "prg $$3,1"])
def test_a_call_with_ports_reads_and_writes_neighbouring_cells(name: str) -> None:
    resolve = resolver({"P000001": "#inputs 2\n#outputs 3\n\nadd $0,$1\nmov $2,$0\nmul $2,10\n"})
    code = f"mov $1,$0\nmov $2,5\nmov $3,1\n{name}\nmov $0,$1\nmul $0,1000\nadd $0,$3\n"
    assert evaluate(parse(code), 3, resolve=resolve).terms == (5050, 6060, 7070)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("seq $0,77", "invalid_id"),
        ("seq $0,-1", "invalid_id"),
        ("seq $0,1000000000000000000000", "invalid_id"),
        ("prg $0,77", "invalid_id"),
        ("prg $0,3", "missing_ports"),
        ("mov $0,-1\nseq $0,45", "seq_invalid_argument"),
        ("seq $0,1", "recursion"),
        ("seq $0,2", "recursion"),
        ("seq $0,100", "recursion"),
        ("seq $0,4", "overflow"),
        ("mov $1,-1\nprg $$1,1", "negative_index"),
    ],
)
def test_what_is_wrong_with_a_call_is_named(code: str, kind: str) -> None:
    programs = {
        "A000045": FIBONACCI,
        "A000001": "seq $0,1\n",
        "A000002": "seq $0,3\n",
        "A000003": "seq $0,2\n",
        "A000004": "div $0,0\n",
        "A000100": "mov $0,1\n",
        "P000001": "#inputs 1\n#outputs 1\n",
        "P000003": "mov $0,1\n",
    }
    found = evaluate(parse(code), 1, resolve=resolver(programs), name="A000100")
    assert (found.terms, found.error) == ((), kind)


def test_without_a_resolver_there_is_nothing_to_call() -> None:
    assert evaluate(parse("seq $0,45\n"), 1).error == "invalid_id"


@pytest.mark.parametrize("engine", ["compiled", "reference"])
def test_calls_may_go_deep_but_not_deeper_than_the_limit(engine: str) -> None:
    chain = {f"A{number:06d}": f"seq $0,{number + 1}\n" for number in range(1, 100)} | {
        "A000100": "add $0,1\n"
    }
    machine = Machine(resolve=resolver(chain), engine="compiled" if engine == "compiled" else "reference")
    assert machine.evaluate(parse("seq $0,37\n"), 1).terms == (1,)
    for _ in range(2):  # what is remembered of shallow calls does not make deep ones possible
        found = machine.evaluate(parse("seq $0,36\n"), 1)
        assert (found.error, found.limit) == ("limit", "calls")


def test_the_steps_of_remembered_calls_still_count() -> None:
    resolve = resolver({"A000045": FIBONACCI})
    program = parse("mov $1,10\nlpb $1\n  mov $2,50\n  seq $2,45\n  sub $1,1\nlpe\n")
    steps = Machine(resolve=resolve).term(program, 0)[1]
    assert evaluate(program, 1, limits=Limits(max_steps=steps), resolve=resolve).error is None
    assert evaluate(program, 1, limits=Limits(max_steps=steps - 1), resolve=resolve).limit == "steps"


def test_an_error_of_the_resolver_is_passed_on() -> None:
    def resolve(name: str) -> Program | None:
        raise LanguageError(f"{name}.asm: line 1: broken")

    with pytest.raises(LanguageError, match=r"^A000045\.asm: line 1: broken$") as caught:
        evaluate(parse("seq $0,45\n"), 1, resolve=resolve)
    assert not isinstance(caught.value, LodaError)


@pytest.mark.parametrize(
    "wrong", [{"max_steps": 0}, {"max_cells": 63}, {"max_digits": 19}, {"overflow_bits": 63}]
)
def test_limits_that_make_no_sense_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(LanguageError, match="LODA programs need at least"):
        Limits(**wrong)


def test_a_loop_undoes_the_pass_that_ended_it_wherever_it_wrote() -> None:
    code = "mov $9,20\nlpb $0\n  mov $$9,$0\n  add $9,1\n  fil $30,2\n  add $30,1\n  sub $0,3\nlpe\n"
    total = "mov $0,0\n" + "".join(f"mul $0,100\nadd $0,${cell}\n" for cell in (9, 20, 21, 22, 30, 31))
    assert evaluate(parse(code + total), 1, offset=7).terms == (220704000201,)
