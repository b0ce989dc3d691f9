"""What the vocabulary cannot say is UNK, with the text it stood for: reading a program never fails."""

from __future__ import annotations

import inspect
import textwrap

import pytest

from altlas_agent.core.errors import LanguageError
from altlas_agent.core.records import Kind
from altlas_agent.languages.encode.encode import UNK, encode
from altlas_agent.languages.encode.normal import Reason
from altlas_agent.languages.render import Span
from altlas_agent.languages.tokens.vocabulary import vocabulary
from tests.languages.programs import task_of


def test_an_unknown_piece_has_its_place_its_normal_text_and_its_form() -> None:
    task = task_of(params=("num", "num"))
    encoded = encode(task, "def solve(first, second):\n    return second + (first ** second)\n")
    [unknown] = encoded.unknown
    before = vocabulary().names(encoded.tokens[: unknown.place])
    assert before == ("FUNC_DEF", "FUNC_0", "BLOCK_START", "RETURN", "ADD", "ARG_1")
    assert encoded.tokens[unknown.place] == UNK
    assert (unknown.text, unknown.shape) == ("ARG_0**ARG_1", "{0}**{1}")
    assert (unknown.sort, unknown.reason) == ("num", Reason.FORM)
    assert unknown.span == Span(2, 22, 2, 37)


@pytest.mark.parametrize(
    ("language", "code", "shape"),
    [
        ("python", "x = 1\nwhile x < 5:\n    x = x * 2\n", "while {0}:{1}"),
        ("python", "while (f(1)):\n    print(1)\n", "while {0}:{1}"),
        ("javascript", "let x = 1; while (x < 5) { x = x * 2 }", "while({0}){1}"),
        ("python", "import math\n", "import math"),
        ("python", "x = f(1)\nx[1] = 2\n", "f({0})"),
        ("python", "for x in [1]:\n    x[1] = 2\n", "{0}[{1}]={2}"),
        ("python", "for a, b in f(1):\n    print(a)\n", "for {0},{1} in {2}:{3}"),
        ("python", "print(all(q(x) for x in [1]))", "all({0})"),
        ("python", "print(5 % 3, end='')", "print({0},end={1})"),
        ("python", "with open(1) as q:\n    pass", "with {0} as {1}:pass"),
        ("javascript", "console.log(JSON.stringify(5))", "JSON.stringify({0})"),
    ],
)
def test_the_form_of_an_unknown_piece_is_a_template(language: str, code: str, shape: str) -> None:
    encoded = encode(task_of(kind=Kind.STDOUT, language=language), code)
    assert encoded.unknown[0].shape == shape
    assert encoded.unknown[0].reason is Reason.FORM


def test_the_same_piece_reads_the_same_whatever_its_names_and_layout() -> None:
    task = task_of(params=("num",), numbers=(40,))
    forms = ["def f(n): return n<<40", "def g(other):\n\n    return ( other  <<\n 40 )"]
    texts = {encode(task, form).unknown[0].text for form in forms}
    assert texts == {"ARG_0<<NUM_0"}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("print(77)", Reason.LITERAL),
        ("print(nowhere)", Reason.NAME),
        ("print(1 < 'x')", Reason.LITERAL),
        ("print(1 < 'b')", Reason.USE),
        ("print('b' + 1)", Reason.USE),
    ],
)
def test_the_reason_says_what_is_lacking(code: str, reason: Reason) -> None:
    task = task_of(kind=Kind.STDOUT, strings=("b",))
    assert reason in {unknown.reason for unknown in encode(task, code).unknown}


def test_forms_within_an_unknown_piece_are_told_as_well() -> None:
    [unknown] = encode(task_of(kind=Kind.STDOUT), "while 1 << 2 > 5:\n    print(1 ^ 5)\n").unknown
    assert {inner.shape for inner in unknown.inner} == {"{0}<<{1}", "{0}^{1}"}
    assert {inner.place for inner in unknown.inner} == {-1}


def test_what_stands_beside_an_unknown_piece_is_still_said() -> None:
    encoded = encode(task_of(kind=Kind.STDOUT), "if f(1):\n    print(1)\nelse:\n    print(2)\n")
    words = " ".join("UNK" if token == UNK else vocabulary().tokens[token].name for token in encoded.tokens)
    assert words == "IF_ELSE UNK BLOCK_START OUTPUT INT_1 BLOCK_END BLOCK_START OUTPUT INT_2 BLOCK_END END"


@pytest.mark.parametrize("module", [textwrap, inspect])
def test_whole_modules_of_all_sorts_of_code_are_read(module: object) -> None:
    assert inspect.ismodule(module)
    encoded = encode(task_of(kind=Kind.STDOUT), inspect.getsource(module))
    assert len(encoded.unknown) == encoded.tokens.count(UNK) > 10


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_what_is_nested_deeper_than_anybody_writes_is_unknown_and_no_failure(language: str) -> None:
    code = "x = " + "-" * 190 + "f(1)" if language == "python" else "let x = " + "! " * 3000 + "f(1)"
    assert not encode(task_of(kind=Kind.STDOUT, language=language), code).is_whole


@pytest.mark.parametrize(("language", "code"), [("python", "def ("), ("javascript", "let = = 3")])
def test_text_of_no_language_is_refused_with_the_task_and_the_language(language: str, code: str) -> None:
    with pytest.raises(LanguageError, match=f"t/task.*does not parse as {language}"):
        encode(task_of(kind=Kind.STDOUT, language=language), code)


def test_a_language_without_a_reader_is_refused_naming_those_that_there_are() -> None:
    with pytest.raises(LanguageError, match="loda cannot be read into tokens; there are: python, javascript"):
        encode(task_of(kind=Kind.STDOUT, language="loda"), "mov $1,1")
