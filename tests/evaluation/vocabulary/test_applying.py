"""A proposal is checked as a whole, and what it changes is written all or none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from altlas_agent import resources
from altlas_agent.core.errors import LanguageError, NotFoundError, UsageError
from altlas_agent.evaluation.vocabulary.applying import changed_files, file_text, write_files
from altlas_agent.evaluation.vocabulary.proposals import (
    Addition,
    Proposal,
    Retirement,
    proposal_text,
    read_proposal,
)
from altlas_agent.languages.tokens.maps import Template
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.tasks.loader import load_suite

if TYPE_CHECKING:
    from pathlib import Path

HAVE = len(vocabulary())
POWER = Addition(
    name="POWER",
    role="operator",
    marks=("**",),
    sort="num",
    holes=("num", "num"),
    syntax={
        "python": Template(text="{0} ** {1}", level=10, needs=(11, 10)),
        "javascript": Template(text="{0} ** {1}", level=10, needs=(11, 10)),
    },
)
WHILE = Addition(
    name="WHILE",
    role="control_flow",
    sort="statement",
    holes=("bool", "block"),
    syntax={"python": "while {0}:{1}", "javascript": "while ({0}) {1}"},
)


def _proposal(*add: Addition, retire: tuple[str, ...] = ()) -> Proposal:
    return Proposal(tokens=HAVE, add=add, retire=tuple(Retirement(name=name) for name in retire))


def _refusal(proposal: Proposal) -> str:
    with pytest.raises(LanguageError) as refused:
        changed_files(proposal, [])
    return refused.value.message


def test_new_tokens_come_last_with_their_production_and_their_syntax() -> None:
    texts = changed_files(_proposal(POWER, WHILE), [])
    tokens = json.loads(texts["vocabulary.json"])["tokens"]
    assert [token["name"] for token in tokens[:HAVE]] == [token.name for token in vocabulary().tokens]
    assert tokens[HAVE] == {"name": "POWER", "role": "operator", "marks": ["**"]}
    grammar = json.loads(texts["grammars/abstract.json"])
    assert grammar["num"]["POWER"] == ["num", "num"]
    assert grammar["statements"]["WHILE"] == ["bool", "block"]
    assert json.loads(texts["languages/javascript.json"])["tokens"]["WHILE"] == "while ({0}) {1}"
    assert json.loads(texts["languages/python.json"])["tokens"]["POWER"]["level"] == 10


def test_a_retired_token_keeps_its_number_and_all_else_stays() -> None:
    texts = changed_files(_proposal(retire=("ABS",)), [])
    assert set(texts) == {"vocabulary.json"}
    tokens = json.loads(texts["vocabulary.json"])["tokens"]
    assert tokens[vocabulary().number["ABS"]] == {"name": "ABS", "role": "operator", "retired": True}
    assert len(tokens) == HAVE


@pytest.mark.parametrize(
    "path",
    ["vocabulary.json", "grammars/abstract.json", "languages/python.json", "languages/javascript.json"],
)
def test_a_file_that_does_not_change_is_written_as_it_was(path: str) -> None:
    text = resources.read_text("configs", path)
    assert file_text(json.loads(text)) == text


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"name": "power"}, "a name is of capital letters"),
        ({"name": "NUM_9"}, "are slots"),
        ({"name": "ADD"}, "the vocabulary has it already, with the number 41"),
        ({"role": "magic"}, "there is no role 'magic'; there are: assignment"),
        ({"sort": "?"}, r"sort is '?'; say which of num, str"),
        ({"holes": ("num", "?")}, "holes[1] is not known: say which of num"),
        ({"holes": ("num", "block")}, "holes[1] is 'block'; a num may ask for"),
        ({"holes": ("num", "!enter num", "num")}, "must be left ('!leave')"),
        ({"holes": ("num", "new_var")}, "every new_var must be declared"),
        ({"holes": ("num",)}, "'{0} ** {1}' must have {0}, as `holes` says"),
        ({"syntax": {"python": POWER.syntax["python"]}}, "javascript has no syntax: add syntax.javascript"),
        ({"syntax": {**POWER.syntax, "cobol": "X"}}, "syntax.cobol: there is no such language"),
        ({"syntax": {**POWER.syntax, "python": "{0} ** {1}"}}, "give it level and needs"),
        (
            {"syntax": {**POWER.syntax, "python": Template(text="{0} +* {1}", level=1, needs=(9, 9))}},
            "the python template '{0} +* {1}' cannot be read as one num",
        ),
        (
            {"syntax": {**POWER.syntax, "python": Template(text="{0}-{1}", level=1, needs=(9, 9))}},
            "is what SUB is written like",
        ),
    ],
)
def test_an_addition_that_does_not_fit_is_refused_saying_where_and_why(
    change: dict[str, object], fault: str
) -> None:
    refusal = _refusal(_proposal(msgspec.structs.replace(POWER, **change)))
    assert "add[0]" in refusal
    assert fault in refusal


def test_all_faults_are_told_at_once() -> None:
    broken = msgspec.structs.replace(POWER, role="magic", sort="?")
    refusal = _refusal(_proposal(broken, WHILE, WHILE, retire=("NOWHERE",)))
    assert len(refusal.splitlines()) >= 5
    assert "the name is proposed 2 times" in refusal


@pytest.mark.parametrize(
    ("retire", "fault"),
    [
        (("NOWHERE",), "the vocabulary has no such token"),
        (("END",), "every program is built of it"),
        (("NUM_0",), "every program is built of it"),
        (("ABS", "ABS"), "it is proposed twice"),
        (("TRUE", "FALSE"), "no bool could be written without a variable any more; keep one of FALSE, TRUE"),
    ],
)
def test_a_token_that_is_needed_is_not_retired(retire: tuple[str, ...], fault: str) -> None:
    assert fault in _refusal(_proposal(retire=retire))


def test_a_token_that_solves_a_task_is_not_retired() -> None:
    tasks = [entry.instance() for entry in load_suite("quickstart").entries]
    with pytest.raises(LanguageError, match=r"MUL: \d+ tasks are solved with it, quickstart/"):
        changed_files(_proposal(retire=("MUL",)), tasks)


def test_a_proposal_for_another_vocabulary_is_refused() -> None:
    assert f"for a vocabulary of 7 tokens, and this one has {HAVE}" in _refusal(
        Proposal(tokens=7, add=(POWER,))
    )


def test_a_proposal_that_changes_nothing_is_refused() -> None:
    assert "neither adds nor retires" in _refusal(_proposal())


def test_a_proposal_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "proposal.json"
    file.write_bytes(proposal_text(_proposal(POWER, retire=("ABS",))))
    assert read_proposal(file) == _proposal(POWER, retire=("ABS",))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"add": []}', '{"tokens": 1, "more": 2}'])
def test_a_file_that_is_no_proposal_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "proposal.json"
    file.write_text(text)
    with pytest.raises(LanguageError, match=r"reading the proposal .*proposal\.json"):
        read_proposal(file)


def test_a_proposal_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="altlas vocab propose"):
        read_proposal(tmp_path / "none.json")


def test_files_are_written_to_a_new_or_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("new", "empty"):
        write_files({"a/b.json": "{}", "c.json": "[]"}, tmp_path / name)
        assert (tmp_path / name / "a/b.json").read_text() == "{}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "new"]


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty: name a new folder"):
        write_files({"a.json": "{}"}, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept.txt"]


def test_a_folder_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        write_files({"a.json": "{}"}, tmp_path / "file" / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
