"""The generated parts of the documents: what is stale is named, and figures of a training may vary."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PATH = Path(__file__).resolve().parents[2] / "docs" / "generate.py"


class Generate(Protocol):
    """docs/generate.py, which is a script and belongs to no package."""

    def rewritten(self, name: str, text: str) -> str: ...
    def problems(self, name: str, text: str) -> Iterator[str]: ...
    def shape(self, text: str) -> str: ...


@pytest.fixture(scope="module")
def generate() -> Generate:
    spec = importlib.util.spec_from_file_location("generate", PATH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast("Generate", module)


def test_a_block_is_filled_with_what_the_program_says(generate: Generate) -> None:
    text = generate.rewritten("a.md", "before\n<!-- output: altlas --version -->\nold\n<!-- end -->\nafter\n")
    head, shown, tail = text.partition("```text\n$ altlas --version\naltlas ")
    assert head == "before\n<!-- output: altlas --version -->\n"
    assert shown
    assert tail.endswith("\n```\n<!-- end -->\nafter\n")


def test_a_stale_block_is_named_with_the_remedy(generate: Generate) -> None:
    text = "<!-- exit codes -->\n<!-- end -->\n<!-- output: altlas --version -->\n<!-- end -->\n"
    assert list(generate.problems("a.md", text)) == [
        "a.md: the block 'exit codes' is stale; run: make docs",
        "a.md: the block 'output: altlas --version' is stale; run: make docs",
    ]


def test_a_block_that_was_just_written_is_not_stale(generate: Generate) -> None:
    empty = (
        "<!-- exit codes -->\n<!-- end -->\n<!-- events -->\n<!-- end -->\n<!-- settings -->\n<!-- end -->\n"
    )
    assert list(generate.problems("a.md", generate.rewritten("a.md", empty))) == []


def test_how_a_command_fails_is_part_of_its_output(generate: Generate) -> None:
    text = generate.rewritten("a.md", "<!-- output: altlas run show r1 -->\n<!-- end -->\n")
    assert "\naltlas: " in text
    assert "\n[exit code 1]\n" in text


@pytest.mark.parametrize("text", ["<!-- outputs: altlas -->\n<!-- end -->\n", "<!-- settings -->\n"])
def test_a_block_of_no_known_kind_or_without_an_end_is_refused(generate: Generate, text: str) -> None:
    with pytest.raises(SystemExit, match=r"a\.md"):
        generate.rewritten("a.md", text)


LINES = (
    "12 of 12 tasks solved, best score 1.000\ntook 1 min 38 s, 41.7 per second\njail plain, altlas 0.1.0\n"
)
ROW = "quickstart/add  python  1103   192  1.000\n"


def test_a_training_may_have_other_figures(generate: Generate) -> None:
    other = LINES.replace("12 of", "3 of").replace("1 min 38 s", "42.1 s").replace("plain", "bwrap")
    assert generate.shape(other + ROW.replace("1103", "   -")) == generate.shape(LINES + ROW)


@pytest.mark.parametrize(
    ("part", "instead"),
    [("quickstart/add", "quickstart/sum"), ("best score", "highest"), ("1103", "nan"), ("  192", "")],
)
def test_a_training_may_not_have_other_words_tasks_or_columns(
    generate: Generate, part: str, instead: str
) -> None:
    text = LINES + ROW
    assert generate.shape(text.replace(part, instead)) != generate.shape(text)
