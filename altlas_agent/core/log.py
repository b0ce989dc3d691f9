"""Logging set-up: stderr, a rotating file, no secrets."""

from __future__ import annotations

import logging
import os
import re
import sys
from logging.handlers import RotatingFileHandler
from typing import TYPE_CHECKING
from urllib.parse import quote

from altlas_agent.core.text import safe

if TYPE_CHECKING:
    from pathlib import Path

FILE_NAME = "altlas.log"
FILE_BYTES = 1024 * 1024
FILES_KEPT = 3
HIDDEN = "[hidden]"
MIN_SECRET_CHARS = 6

_SECRET_NAME = re.compile(r"(?:^|_)(?:KEY|TOKEN|SECRET|PASSWORD)$", re.IGNORECASE)
_SECRET_SHAPES = re.compile(r"\bsk-[\w-]{6,}|(?<=\bBearer )\s*[\w.~+/=-]{6,}", re.IGNORECASE)
_FILE_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class CleanFormatter(logging.Formatter):
    """Formats a whole entry, traceback included, then hides secrets and disarms foreign text."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))


def clean(text: str) -> str:
    """The text without secrets, and harmless for a terminal."""
    return safe(redact(text))


def redact(text: str) -> str:
    """The text without secrets.

    Hidden are the values of environment variables named `*_KEY`, `*_TOKEN`, `*_SECRET` and
    `*_PASSWORD`, as they are, quoted for a URL or as Python shows them, and what looks like `sk-...`
    or `Bearer ...`. Values of fewer than 6 characters stay: hiding "1" would hide everything.
    """
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _SECRET_SHAPES.sub(HIDDEN, text)


def set_up(level: str | int, log_folder: Path | None, *, to_stderr: bool = True) -> None:
    """Send the log to stderr and, if a folder is given, to `altlas.log` in it (3 older files are kept).

    Call it again to change its mind: what an earlier call installed is taken down first.
    """
    root = logging.getLogger()
    take_down()
    if to_stderr:
        _add(root, _for_terminal() if sys.stderr.isatty() else _plain())
    if log_folder is not None:
        _add(root, _for_file(log_folder))
    root.setLevel(level.upper() if isinstance(level, str) else level)
    for library in _CHATTY:
        logging.getLogger(library).setLevel(logging.WARNING)


def take_down() -> None:
    """Remove and close what `set_up` installed."""
    root = logging.getLogger()
    for handler in _installed:
        root.removeHandler(handler)
        handler.close()
    _installed.clear()


_installed: list[logging.Handler] = []
_CHATTY = ("alembic", "asyncio")
"""Libraries that narrate at the level at which we tell what matters."""


def _add(root: logging.Logger, handler: logging.Handler) -> None:
    root.addHandler(handler)
    _installed.append(handler)


def _for_terminal() -> logging.Handler:
    # Imported here, since most processes log to a pipe: rich costs more than all of this module.
    from rich.console import Console
    from rich.highlighter import NullHighlighter
    from rich.logging import RichHandler

    # Without markup or highlighting: the text may be foreign. NO_COLOR is honoured by the console.
    handler = RichHandler(
        console=Console(stderr=True), show_path=False, markup=False, highlighter=NullHighlighter()
    )
    handler.setFormatter(CleanFormatter("%(message)s", datefmt="%H:%M:%S"))
    return handler


def _plain() -> logging.Handler:
    handler = logging.StreamHandler()
    handler.setFormatter(CleanFormatter(_FILE_FORMAT))
    return handler


def _for_file(folder: Path) -> logging.Handler:
    folder.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(
        folder / FILE_NAME, maxBytes=FILE_BYTES, backupCount=FILES_KEPT, encoding="utf-8", delay=True
    )
    handler.setFormatter(CleanFormatter(_FILE_FORMAT))
    return handler


def _secrets() -> set[str]:
    found: set[str] = set()
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= MIN_SECRET_CHARS:
            found |= {value, quote(value, safe=""), repr(value)[1:-1]}
    return found
