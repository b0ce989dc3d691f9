"""What the vocabulary lacks in a folder of sources, as a proposal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.errors import NotFoundError
from altlas_agent.evaluation.vocabulary.outside import Surveyor
from altlas_agent.evaluation.vocabulary.proposing import proposal
from altlas_agent.languages.tokens.maps import Template
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.tasks.loader import load_suite

if TYPE_CHECKING:
    from pathlib import Path

    from altlas_agent.evaluation.vocabulary.pieces import Survey
    from altlas_agent.evaluation.vocabulary.proposals import Addition, Proposal

PYTHON = "def f(a, b):\n    x = 1\n    return (x << 2) + (x << x)\n\ndef g(a):\n    return 1 << 2\n"
JAVASCRIPT = "function f(a) { return 1 << 2 }\n"


def _survey(folder: Path, **files: str) -> Survey:
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text)
    surveyor = Surveyor()
    surveyor.read_folder(folder)
    return surveyor.survey()


def _additions(survey: Survey, *, least: int = 1, most: int = 20) -> dict[str, Addition]:
    made = proposal(survey, {}, least=least, most=most, attempts=0)
    return {each.name: each for each in made.add}


def test_a_form_that_no_token_says_is_proposed_with_how_often_it_was_met(tmp_path: Path) -> None:
    shift = _additions(_survey(tmp_path, a_py=PYTHON))["SHIFT_LEFT"]
    assert (shift.seen, shift.programs, shift.sort) == (3, 2, "num")
    assert shift.holes == ("num", "num")
    assert shift.syntax["python"] == Template(text="{0}<<{1}", level=1, needs=(98, 98))
    assert shift.syntax["javascript"] == "?"
    assert shift.where == f"{tmp_path / 'a.py'}:3"


def test_a_form_that_is_written_alike_in_both_languages_is_one_token(tmp_path: Path) -> None:
    shift = _additions(_survey(tmp_path, a_py=PYTHON, b_js=JAVASCRIPT))["SHIFT_LEFT"]
    assert shift.seen == 4
    assert "?" not in shift.syntax.values()


def test_only_frequent_forms_are_proposed_and_only_so_many(tmp_path: Path) -> None:
    survey = _survey(tmp_path, a_py=PYTHON + "def h(a):\n    return a.real + abs(1 ^ 2)\n")
    assert set(_additions(survey, least=2)) == {"SHIFT_LEFT"}
    assert set(_additions(survey, most=1)) == {"SHIFT_LEFT"}


@pytest.mark.parametrize(
    "code",
    [
        "import math\n",
        "def f(a):\n    return g(a)\n",
        "def f(a):\n    return self._x\n",
        "def f(a):\n    a\n",
    ],
)
def test_what_can_be_no_token_is_not_proposed(tmp_path: Path, code: str) -> None:
    assert _additions(_survey(tmp_path, a_py=code + "def g(a): return a\n")) == {}


def test_files_that_do_not_parse_are_left_out_and_named(tmp_path: Path) -> None:
    survey = _survey(tmp_path, a_py="def (", b_py=PYTHON)
    assert survey.programs == 2
    [skipped] = survey.skipped
    assert skipped.startswith(f"{tmp_path / 'a.py'}: the source does not parse")


def test_a_folder_without_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"files must end with \.js or \.py"):
        Surveyor().read_folder(tmp_path)


def test_the_shipped_solutions_need_no_token_more() -> None:
    surveyor = Surveyor()
    surveyor.read_tasks(entry.instance() for entry in load_suite("ladder").entries)
    survey = surveyor.survey()
    assert survey.programs == survey.whole > 50
    assert survey.pieces == ()


def test_tokens_that_nobody_uses_are_proposed_to_be_retired(tmp_path: Path) -> None:
    survey = _survey(tmp_path, a_py="def f(a):\n    return abs(a)\n")
    written = {
        token.name: 5 for token in vocabulary().tokens if token.name not in ("ABS", "MOD", "FUNC_0", "STR_3")
    }
    made = proposal(survey, written, least=1, most=1, attempts=100)
    assert [each.name for each in made.retire] == ["MOD"]
    assert made.retire[0].reason == "not once in 100 attempts, nor in 1 programs that were read"


def test_without_attempts_nothing_is_retired(tmp_path: Path) -> None:
    made: Proposal = proposal(_survey(tmp_path, a_py=PYTHON), {}, least=1, most=1, attempts=0)
    assert made.retire == ()
