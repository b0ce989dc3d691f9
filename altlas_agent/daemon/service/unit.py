"""The systemd unit that keeps a daemon for one home."""

from __future__ import annotations

import sys
from pathlib import Path

from altlas_agent.resources import read_text


def unit_text(home: Path) -> str:
    """The whole unit file, for this installation."""
    script = Path(sys.executable).with_name("altlas")
    begin = [str(script)] if script.exists() else [sys.executable, "-m", "altlas_agent"]
    words = [*begin, "daemon", "start", "--foreground", "--home", str(home)]
    return read_text("configs", "daemon/altlas.service").replace("{command}", " ".join(map(_quoted, words)))


def _quoted(word: str) -> str:
    """A word as systemd reads it: percent signs and dollars stand for something else there."""
    for letter, instead in (("\\", "\\\\"), ('"', '\\"'), ("%", "%%"), ("$", "$$")):
        word = word.replace(letter, instead)
    return f'"{word}"'
