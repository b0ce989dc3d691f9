"""How languages run is data: by name, by the end of a file, and from a file of the user's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from altlas_agent.core.errors import LanguageError
from altlas_agent.languages.execution import executions, language_called, language_of

NEW = {"extension": ".zz", "names": ["z"], "engine": "z", "package": "z", "command": ["z"], "canary": "42"}


@pytest.mark.parametrize(
    ("name", "language"),
    [
        ("prog.py", "python"),
        ("a/b.JS", "javascript"),
        ("x.cc", "cpp"),
        ("x.sh", "bash"),
        ("x", ""),
        ("x.q", ""),
    ],
)
def test_the_end_of_a_file_tells_its_language(name: str, language: str) -> None:
    assert language_of(Path(name)) == language


def test_other_names_lead_to_the_one_name() -> None:
    assert [language_called(name) for name in ("c++", "js", "py", "bash", "Python", "")] == [
        "cpp",
        "javascript",
        "python",
        "bash",
        "Python",
        "",
    ]


def test_a_file_adds_a_language_and_nothing_else_changes(tmp_path: Path) -> None:
    further = tmp_path / "more.json"
    further.write_text(json.dumps({"zed": NEW}), "utf-8")
    assert set(executions(str(further))) == {*executions(), "zed"}
    assert language_of(Path("a.zz"), str(further)) == "zed"
    assert language_called("z", str(further)) == "zed"


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"a": {"extension": ".a"}}', json.dumps({"a": {**NEW, "x": 1}})]
)
def test_a_broken_file_is_named(tmp_path: Path, text: str) -> None:
    further = tmp_path / "broken.json"
    further.write_text(text, "utf-8")
    with pytest.raises(LanguageError, match=r"broken\.json"):
        executions(str(further))
