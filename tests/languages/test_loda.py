"""LODA text: what is a program, what is wrong with the rest, and what programs are made of."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altlas_agent.languages.build import LANGUAGES
from altlas_agent.languages.fingerprint import fingerprint
from altlas_agent.languages.loda import (
    MAX_NESTING,
    MAX_OPERATIONS,
    Comment,
    LodaSyntaxError,
    Mode,
    Operand,
    Operation,
    parse,
    print_program,
)
from tests.languages.loda_rows import CODE

SCRAPS = st.sampled_from(
    [
        "mov",
        "lpb",
        "lpe",
        "seq",
        "#offset",
        "$",
        "$$",
        "$0",
        ",",
        ";",
        "\n",
        " ",
        "-",
        "1",
        "99",
        "nop",
        "\r",
        "\x0b",
        "\u2028",
    ]
)


def test_operands_are_constants_cells_and_cells_named_by_cells() -> None:
    (operation,) = parse("add $$12,-7").operations
    assert operation == Operation(
        name="add", target=Operand(mode=Mode.INDIRECT, value=12), source=Operand(mode=Mode.CONSTANT, value=-7)
    )


@pytest.mark.parametrize(
    "line", ["mov $0,5", "MOV $0,5", "\tmov\t$0 , 5  ", "mov $0,005", "mov $0,5 ; why", "mov $0,5\r"]
)
def test_layout_and_case_do_not_count(line: str) -> None:
    assert print_program(parse(line)) == "mov $0,5\n"


def test_printing_indents_loops_and_leaves_out_what_is_the_default() -> None:
    code = "#offset 0\nlpb $0,1\nlpb $1,2\nsub $1,1\nlpe\nnop\nlpe"
    assert print_program(parse(code)) == "lpb $0\n  lpb $1,2\n    sub $1,1\n  lpe\nlpe\n"


def test_directives_and_comments_stay_where_they_were() -> None:
    code = "; A1: title\n;; more\n\n#offset -1\n#inputs 2\n\n; first\nlpb $0 ; loop\n  ; inside\n  sub $0,1\nlpe ; end\n"
    program = parse(code)
    assert (program.offset, program.inputs, program.outputs) == (-1, 2, None)
    assert program.comments[3] == Comment(before=1, text="loop", is_trailing=True)
    text = print_program(program, comments=True)
    assert text == (
        "; A1: title\n; ; more\n; first\n\n#offset -1\n#inputs 2\n\n"
        "lpb $0 ; loop\n  ; inside\n  sub $0,1\nlpe ; end\n"
    )
    assert parse(text) == program


@pytest.mark.parametrize(
    ("code", "line", "said", "kind"),
    [
        ("foo $0,1", 1, "no operation 'foo'", "parse"),
        ("\nmov $0", 2, "mov takes target,source", "parse"),
        ("mov $0,1,2", 1, "mov takes target,source", "parse"),
        ("lpb $0\nlpe $0", 2, "lpe takes no operands", "parse"),
        ("mov $-1,3", 1, "negative", "parse"),
        ("mov $0,$$$1", 1, "not a constant, $cell or $$cell", "parse"),
        ("mov $0,1.5", 1, "not a constant", "parse"),
        ("mov $0,\u0661", 1, "not a constant", "parse"),
        ("mov $0," + "9" * 5000, 1, "too many digits", "parse"),
        ("mov $" + "9" * 19 + ",1", 1, "too many digits", "parse"),
        ("add 5,$0", 1, "must be a cell", "constant_target"),
        ("lpb 5\nlpe", 1, "must be a cell", "constant_target"),
        ("lpb $0\n\nlpb $1\nlpe", 1, "this lpb has no lpe", "parse"),
        ("sub $0,1\nlpe", 2, "lpe without an lpb", "parse"),
        ("#offset x", 1, "is not #offset", "parse"),
        ("#title 1", 1, "is not #offset", "parse"),
        ("#offset 1\n#offset 1", 2, "given twice", "parse"),
        ("#inputs -1", 1, "from 0 to", "parse"),
        ("lpb $0\n" * (MAX_NESTING + 1) + "lpe\n" * (MAX_NESTING + 1), MAX_NESTING + 1, "loops inside", "stack"),
        ("mov $0,1\n" * (MAX_OPERATIONS + 1), MAX_OPERATIONS + 1, "operations", "parse"),
        (";" * 200_001, 1, "longer than", "parse"),
    ],
)  # fmt: skip
def test_what_is_no_program_is_refused_with_its_line(code: str, line: int, said: str, kind: str) -> None:
    with pytest.raises(LodaSyntaxError) as caught:
        parse(code)
    assert (caught.value.line, caught.value.kind) == (line, kind)
    assert caught.value.message.startswith(f"line {line}: ")
    assert said in caught.value.message
    assert len(caught.value.message) < 200


@settings(max_examples=500, deadline=None)
@given(text=st.one_of(st.text(), st.lists(SCRAPS, max_size=40).map("".join)))
def test_any_text_is_a_program_or_a_syntax_error(text: str) -> None:
    try:
        program = parse(text)
    except LodaSyntaxError:
        assert LANGUAGES["loda"].normal_form(text) is None
        return
    assert parse(print_program(program, comments=True)) == program


@settings(max_examples=200, deadline=None)
@given(code=CODE)
def test_the_normal_form_is_its_own_normal_form(code: str) -> None:
    loda = LANGUAGES["loda"]
    normal = loda.normal_form(code)
    assert normal is not None
    assert loda.normal_form(normal) == normal
    assert parse(normal).operations == parse(code).operations


def test_structure_names_operations_numbers_loops_and_calls() -> None:
    found = LANGUAGES["loda"].structure("mov $1,-7\nlpb $0,2\n  seq $1,45\n  prg $$1,2\nlpe\nseq $1,$2\n")
    assert found is not None
    assert found.operators == {"mov", "seq", "prg"}
    assert found.numbers == {-7.0, 2.0, 45.0}
    assert found.constructs == {"loop", "call:A000045", "call:P000002"}
    assert LANGUAGES["loda"].structure("add $0") is None


def test_programs_are_the_same_whatever_their_comments_and_layout() -> None:
    assert fingerprint("loda", "; A\nmov $0,1 ; one") == fingerprint("loda", "  MOV $0, 1\n\nnop\n")
    assert fingerprint("loda", "mov $0,1") != fingerprint("loda", "#offset 1\nmov $0,1")
