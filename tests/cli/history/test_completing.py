"""What a shell is offered where a run is named."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import click
import pytest

from altlas_agent.cli.main import altlas as whole
from altlas_agent.cli.naming.completing import TAKE_A_RUN, complete_runs
from storage.database import open_writer
from tests.builders import make_run_row, store_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.cli.history.examples import Altlas


def _offered(altlas: Altlas, line: str, *, shell: str = "bash") -> list[str]:
    """What comes behind the last word of a line, which is begun."""
    words = line.split(" ")
    asked = {"_ALTLAS_COMPLETE": f"{shell}_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    return altlas(environ=asked).stdout.splitlines()


def test_runs_are_offered_by_number_name_and_tag(altlas: Altlas, filled: Path) -> None:
    assert _offered(altlas, "altlas run show ") == [
        "plain,r3",
        "plain,r2",
        "plain,r1",
        "plain,first",
        "plain,@latest",
        "plain,tag:best",
        "plain,tag:kept",
    ]
    assert _offered(altlas, "altlas run compare r2 fi") == ["plain,first"]
    assert _offered(altlas, "altlas attempt list --run r1") == ["plain,r1"]


def test_zsh_hears_what_a_run_is(altlas: Altlas, filled: Path) -> None:
    assert _offered(altlas, "altlas run show r1", shell="zsh") == ["plain", "r1", "first, ended"]


def test_the_fifty_newest_are_offered(altlas: Altlas, filled: Path) -> None:
    with closing(open_writer(filled / "altlas.db")) as connection:
        for number in range(4, 61):
            assert store_run(connection, make_run_row(""), []) == number
    offered = _offered(altlas, "altlas run show r")
    assert (len(offered), offered[0], offered[-1]) == (50, "plain,r60", "plain,r11")


def test_options_are_offered_too(altlas: Altlas, filled: Path) -> None:
    assert "plain,--programs" in _offered(altlas, "altlas run show --p")
    assert _offered(altlas, "altlas run sh") == ["plain,show"]


def test_where_nothing_was_run_nothing_is_offered(altlas: Altlas) -> None:
    assert _offered(altlas, "altlas run show r") == []


def test_completing_a_run_imports_no_command(filled: Path, surroundings: Mapping[str, str]) -> None:
    program = (
        "import sys\nfrom altlas_agent.cli.main import main\n"
        "try: main([])\nexcept SystemExit: pass\nprint(*sys.modules, file=sys.stderr)"
    )
    asked = {"_ALTLAS_COMPLETE": "bash_complete", "COMP_WORDS": "altlas run show r", "COMP_CWORD": "3"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        env={**surroundings, **asked},
    )
    modules = set(done.stderr.split())
    assert "plain,r1" in done.stdout
    assert {"msgspec", "pydantic", "altlas_agent.cli.run", "storage.reading.queries"} & modules == set()


@pytest.mark.parametrize("path", sorted(TAKE_A_RUN))
def test_what_is_answered_at_once_is_what_the_command_takes(path: tuple[str, str]) -> None:
    assert path in dict(_takers())


def test_every_command_that_takes_a_run_first_is_answered_at_once() -> None:
    assert {path for path, first in _takers() if first} == TAKE_A_RUN


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_is_written(altlas: Altlas, shell: str) -> None:
    done = altlas("completion", shell)
    assert done.returncode == 0
    assert f"_ALTLAS_COMPLETE={shell}_complete" in done.stdout


def _takers() -> Iterator[tuple[tuple[str, str], bool]]:
    """Commands that complete runs, and whether their first word is one."""
    context = click.Context(whole)
    for group in ("run", "attempt", "event"):
        commands = whole.get_command(context, group)
        assert isinstance(commands, click.Group)
        for verb in commands.list_commands(context):
            command = commands.get_command(context, verb)
            assert command is not None
            words = [each for each in command.params if isinstance(each, click.Argument)]
            if any(each._custom_shell_complete is complete_runs for each in command.params):
                yield (group, verb), bool(words) and words[0]._custom_shell_complete is complete_runs
