"""Commands are run as users run them: in a process of their own, in a folder of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """An environment without settings, whose home and configuration lie in a temporary folder."""
    kept = {name: value for name, value in os.environ.items() if "ALTLAS" not in name and "XDG" not in name}
    return kept | {
        "PYTHONPATH": str(ROOT),
        "ALTLAS_HOME": str(tmp_path / "home"),
        "XDG_CONFIG_HOME": str(tmp_path / "config"),
    }


@pytest.fixture
def start(tmp_path: Path, surroundings: Mapping[str, str]) -> Callable[..., subprocess.Popen[str]]:
    """Starts `altlas WORDS...` in the temporary folder; the keyword `environ` adds to the environment."""

    def start_altlas(*words: str, environ: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "altlas_agent", *words],
            cwd=tmp_path,
            env={**surroundings, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=_obey_interrupts,
        )

    return start_altlas


@pytest.fixture
def altlas(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `altlas WORDS...` to its end."""

    def run_altlas(*words: str, environ: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        with start(*words, environ=environ) as process:
            stdout, stderr = process.communicate(timeout=20)
        return subprocess.CompletedProcess(words, process.returncode, stdout, stderr)

    return run_altlas


def _obey_interrupts() -> None:
    """A process started in the background of a script ignores SIGINT, and so would its children."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
