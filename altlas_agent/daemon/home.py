"""The home: where it lies, whether it can be used, and the lock that one process holds on it."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

from altlas_agent.core.errors import HomeBusyError, StorageError

if TYPE_CHECKING:
    from types import TracebackType

LOCK_NAME = "altlas.lock"

_PRIVATE = 0o700
_REMEDY = "make it writable, or choose another home with --home or ALTLAS_HOME"
_LONGEST_HOLDER = 200


def resolve_home(flag: str | None) -> Path:
    """The home as an absolute path: the flag, else ALTLAS_HOME, else the user's data folder."""
    chosen = flag or os.environ.get("ALTLAS_HOME")
    if chosen:
        return Path(chosen).expanduser().absolute()
    # Imported here: it costs 25 ms, which commands under --home and ALTLAS_HOME save.
    from platformdirs import user_data_path

    return user_data_path("altlas")


def prepare_home(home: Path) -> None:
    """Make the home, for its owner only, and prove that it can be written in.

    Raises StorageError when it cannot; folders made on the way are removed again. An existing home
    keeps its permissions.
    """
    import tempfile  # here and below: commands that only read need none of it, and it takes 20 ms

    made: list[Path] = []
    try:
        for folder in reversed((home, *home.parents)):
            if not folder.exists():
                folder.mkdir(mode=_PRIVATE, exist_ok=True)
                made.append(folder)
        with tempfile.TemporaryFile(dir=home):
            pass
    except OSError as error:
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        raise StorageError(f"cannot use the home {home}: {error.strerror}; {_REMEDY}") from error


def log_folder(home: Path) -> Path:
    """Where the processes of a home log, made when it is not there."""
    folder = home / "log"
    folder.mkdir(mode=_PRIVATE, exist_ok=True)
    return folder


class HomeLock:
    """The right to write in a home, held by one process at a time.

    It is a flock and nothing else: when the holder dies, in whatever way, the lock is gone. The text in
    the file only tells who holds it, and counts only while the lock is held. The descriptor is closed on
    exec; a child that is forked without exec would hold the lock on after a crash.
    """

    def __init__(self, home: Path) -> None:
        self._path = home / LOCK_NAME
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock at once. Raises HomeBusyError that names the holder, or StorageError."""
        assert self._descriptor is None, "the lock is taken once"
        descriptor = self._open()
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _introduction().encode(), 0)
        except OSError as error:
            holder = os.pread(descriptor, _LONGEST_HOLDER, 0).decode(errors="replace").strip()
            os.close(descriptor)
            raise self._translated(error, holder) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock up; nothing happens when it is not held."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            with suppress(OSError):
                os.ftruncate(descriptor, 0)
                # Unlocked by word, not only by closing: a child between fork and exec holds a copy.
                fcntl.flock(descriptor, fcntl.LOCK_UN)
            os.close(descriptor)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _open(self) -> int:
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise self._translated(error, "") from error

    def _translated(self, error: OSError, holder: str) -> HomeBusyError | StorageError:
        home = self._path.parent
        if isinstance(error, BlockingIOError):
            held_by = holder or "another process"
            return HomeBusyError(
                f"the home {home} is held by {held_by}; end it first, or choose another home with --home"
            )
        return StorageError(f"cannot lock the home {home}: {error.strerror}; {_REMEDY}")


def _introduction() -> str:
    import socket
    from datetime import UTC, datetime

    started = datetime.now(UTC).isoformat(timespec="seconds")
    return f"process {os.getpid()} on {socket.gethostname()} since {started}\n"
