"""One filled home for all tests, copied for each: making a database takes as long as a command runs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.history.examples import fill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home that `filled` copies."""
    home: Path = tmp_path_factory.mktemp("original") / "home"
    fill(home)
    return home


@pytest.fixture
def filled(original: Path, tmp_path: Path) -> Path:
    """The home of the commands, with the three runs of `examples.fill`."""
    return shutil.copytree(original, tmp_path / "home")


@pytest.fixture
def altlas_bytes(tmp_path: Path, surroundings: Mapping[str, str]) -> Callable[..., bytes]:
    """Runs `altlas WORDS...` to its end and returns what it wrote, untouched."""

    def run_altlas(*words: str) -> bytes:
        command = [sys.executable, "-m", "altlas_agent", *words]
        return subprocess.run(
            command, cwd=tmp_path, env=dict(surroundings), capture_output=True, timeout=20, check=True
        ).stdout

    return run_altlas
