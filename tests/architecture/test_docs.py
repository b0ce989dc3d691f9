"""Whatever people use is described: commands, settings, events, errors, exit codes; and links lead on."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from altlas_agent.cli.main import COMMANDS, altlas
from altlas_agent.core import errors
from altlas_agent.core.errors import EXIT_MEANINGS, AltlasError, Exit
from altlas_agent.core.events import EVENT_TYPES
from altlas_agent.settings.reading.tree import leaf_keys
from altlas_agent.settings.run import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.core.events import Event

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def _commands(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    yield " ".join(("altlas", *words)), command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _commands(below, (*words, name))


def _errors(root: type[AltlasError]) -> Iterator[type[AltlasError]]:
    yield root
    for below in root.__subclasses__():
        yield from _errors(below)


EVERY_COMMAND = dict(_commands(altlas))
EVERY_EVENT = sorted(EVENT_TYPES, key=lambda event: event.__name__)
EVERY_ERROR = [each for each in _errors(AltlasError) if each.__module__ == errors.__name__]


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_a_command_and_each_of_its_options_have_help(name: str) -> None:
    command = EVERY_COMMAND[name]
    assert command.help
    options = [each for each in command.params if isinstance(each, click.Option)]
    assert [option.name for option in options if not option.help] == []


@pytest.mark.parametrize("name", EVERY_COMMAND)
def test_a_command_stands_in_the_reference(name: str) -> None:
    assert f"\n## {name}\n" in (ROOT / "docs" / "cli.md").read_text("utf-8"), "run: make docs"


@pytest.mark.parametrize("name", COMMANDS)
def test_a_group_is_introduced_by_the_same_words_wherever_it_is_listed(name: str) -> None:
    assert EVERY_COMMAND[f"altlas {name}"].get_short_help_str(limit=200) == COMMANDS[name][1]


@pytest.mark.parametrize("key", leaf_keys(Settings), ids=".".join)
def test_a_setting_is_described_and_stands_in_the_table(key: tuple[str, ...]) -> None:
    assert leaf_keys(Settings)[key].description
    assert f"| `{'.'.join(key)}` |" in (ROOT / "docs" / "settings.md").read_text("utf-8"), "run: make docs"


@pytest.mark.parametrize("event", EVERY_EVENT)
def test_an_event_says_what_happened(event: type[Event]) -> None:
    assert event.__dict__.get("__doc__")


@pytest.mark.parametrize("error", EVERY_ERROR)
def test_an_error_says_when_it_is_raised_and_stands_in_the_drawn_tree(error: type[AltlasError]) -> None:
    assert (error.__dict__.get("__doc__") or "").startswith("Raised when ")
    assert re.search(rf"\b{error.__name__} ", errors.__doc__ or "")


@pytest.mark.parametrize("code", Exit)
def test_an_exit_code_has_a_meaning_and_stands_in_the_readme(code: Exit) -> None:
    assert f"| {code.value} | {EXIT_MEANINGS[code]} |" in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_link_within_the_project_leads_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text("utf-8"))
    assert [target for target in targets if not (path.parent / target).exists()] == []
