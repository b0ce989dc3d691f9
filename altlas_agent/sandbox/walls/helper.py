"""Compiles inside/*.c, which serve programs faster than Python can, once per user and version."""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import shutil
import subprocess
from pathlib import Path
from tempfile import mkstemp

from platformdirs import user_cache_path

LAYER = "c-helper"

_INSIDE = Path(__file__).parents[1] / "inside"
_SOURCES = [_INSIDE / name for name in ("server.c", "python.c", "pages.c")]
_FLAGS = ("-O2", "-shared", "-fPIC", "-Wl,-z,now")
_TIMEOUT_S = 30.0
logger = logging.getLogger(__name__)


def helper() -> bytes:
    """The compiled helper, from the user's cache or made now; empty when it cannot be had.

    Call it only where nobody else waits for children.
    """
    path = _path()
    if not _is_ours(path):
        compiler = shutil.which("cc")
        if compiler is None or not _compile(compiler, path):
            return b""
    try:
        return path.read_bytes()
    except OSError as error:
        logger.warning("%s: %s; programs start without it", path, error.strerror)
        return b""


def _path() -> Path:
    """Named by what it is made of, so that another version never meets it."""
    made_of = b"".join(source.read_bytes() for source in (*_SOURCES, _INSIDE / "server.h"))
    made_of += " ".join((*_FLAGS, platform.machine())).encode()
    return user_cache_path("altlas") / f"server-{hashlib.sha256(made_of).hexdigest()[:32]}.so"


def _is_ours(path: Path) -> bool:
    """A file that others could have written is compiled anew."""
    try:
        found = path.stat()
    except OSError:
        return False
    return found.st_uid == os.geteuid() and not found.st_mode & 0o022 and found.st_size > 0


def _compile(compiler: str, path: Path) -> bool:
    """Written beside and renamed: a fork-server may have the old file mapped."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fd, beside = mkstemp(prefix=path.stem, dir=path.parent)
        os.close(fd)
    except OSError as error:
        logger.warning("%s: %s; programs start without the helper", path.parent, error.strerror)
        return False
    try:
        command = [compiler, *_FLAGS, "-o", beside, *map(str, _SOURCES)]
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, check=False)
        if done.returncode == 0:
            os.chmod(beside, 0o700)
            os.replace(beside, path)
            return True
        logger.warning(
            "%s cannot compile the helper: %s", compiler, done.stderr.decode(errors="replace")[:500]
        )
    except (OSError, subprocess.SubprocessError) as error:
        logger.warning("%s did not compile the helper: %s", compiler, error)
    finally:
        Path(beside).unlink(missing_ok=True)
    return False
