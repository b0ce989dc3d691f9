"""Every file in configs/ is read by the code that reads it in earnest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from altlas_agent.evaluation.experiments.plan import read
from altlas_agent.languages.encode.rules import rules
from altlas_agent.languages.execution import executions
from altlas_agent.languages.tokens.grammar import productions
from altlas_agent.languages.tokens.maps import language_map, languages
from altlas_agent.languages.tokens.vocabulary import vocabulary
from altlas_agent.resources import location
from altlas_agent.sandbox.advice.capabilities import capabilities
from altlas_agent.settings.load import load
from altlas_agent.tasks.loader import read_entry

if TYPE_CHECKING:
    from pathlib import Path

CONFIGS = location("configs")
FILES = sorted(path for ending in ("json", "toml") for path in CONFIGS.rglob(f"*.{ending}"))


def _name(path: Path) -> str:
    return path.relative_to(CONFIGS).as_posix()


def _read(path: Path) -> object:
    """Fails for a file that nothing reads."""
    match path.relative_to(CONFIGS).parts:
        case ("vocabulary.json",):
            return vocabulary()
        case ("capabilities.json",):
            return capabilities("python")
        case ("default.toml",):
            return load(flags={}, environ={}, project_file=path, user_file=None, profile=None)
        case ("profiles", _):
            return load(flags={}, environ={}, project_file=None, user_file=None, profile=path.stem)
        case ("grammars", "abstract.json"):
            return productions()
        case ("languages", name):
            return executions() if name == "execution.json" else language_map(path.stem)
        case ("experiments", _):
            return read(path.stem)
        case ("idioms", _):
            return rules(path.stem)
        case ("tasks", suite, _):
            return read_entry(path, suite)
        case _:
            pytest.fail("no reader is known: add it here, or remove the file")


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_a_shipped_file_is_read_by_its_own_reader(path: Path) -> None:
    assert _read(path)


def test_every_language_says_how_its_programs_are_run() -> None:
    assert set(languages()) <= set(executions())
