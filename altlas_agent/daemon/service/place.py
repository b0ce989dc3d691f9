"""Where a daemon is reached: a folder for its owner only, and in it a socket that only its owner may open.

We bind the socket ourselves, and it appears under its name only when it is private and listens.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from altlas_agent.core.clock import stable_id
from altlas_agent.core.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

SOCKET_NAME = "altlas.sock"
BACKLOG = 128
LONGEST_ADDRESS = 107
"""What the system takes as the address of a socket, in bytes."""

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600


def runtime_folder(home: Path, environ: Mapping[str, str]) -> Path:
    """Where the socket of this home lies: under XDG_RUNTIME_DIR where there is one, else in the home."""
    shared = environ.get("XDG_RUNTIME_DIR", "")
    if shared.startswith("/") and Path(shared).is_dir():
        return Path(shared) / "altlas" / stable_id(str(home.resolve()))
    return home / "run"


def make_private(folder: Path) -> None:
    """Make a folder for us alone, or take one that is ours and close it to others.

    Raises StorageError for a folder of somebody else, and for what is no folder.
    """
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StorageError(f"{folder} is not a folder of ours: move it away, and start again")
        if stat.S_IMODE(found.st_mode) != _PRIVATE_FOLDER:
            folder.chmod(_PRIVATE_FOLDER)
    except OSError as error:
        raise StorageError(f"cannot make the folder {folder}: {error.strerror}; make room for it") from error


def listen(folder: Path) -> socket.socket:
    """A listening socket at `folder / SOCKET_NAME`; what a dead daemon left under that name is replaced.

    The caller holds the lock of the home, so no living daemon has it. Raises StorageError.
    """
    make_private(folder)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    new = folder / f"{SOCKET_NAME}.{os.getpid()}"
    try:
        new.unlink(missing_ok=True)
        with address(new) as short:
            sock.bind(short)
        new.chmod(_PRIVATE_FILE)
        sock.listen(BACKLOG)
        new.replace(folder / SOCKET_NAME)
    except OSError as error:
        sock.close()
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise StorageError(f"cannot listen at {folder / SOCKET_NAME}: {error.strerror or error}") from error
    sock.setblocking(False)
    return sock


@contextmanager
def address(path: Path) -> Generator[str]:
    """A name for `path` that is short enough to bind or to connect to, for the length of the block."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
