"""How a daemon is found: a file per process in its home, written once its socket listens.

A file counts only while the process lives that wrote it: its number and the moment of its start must agree,
since numbers of processes are used again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

from altlas_agent.core.errors import StorageError
from altlas_agent.core.records import Record
from altlas_agent.daemon.service.place import make_private

API = 1
"""The number of the API; it goes up when a client of before can no longer be served."""

_PRIVATE = 0o600


class Announced(Record):
    """A daemon as it announces itself. `born` is the start of its process, in ticks since the machine's."""

    pid: int
    born: int
    started_ns: int
    socket: str
    database: str
    version: str
    epoch: str
    api: int = API

    @property
    def is_alive(self) -> bool:
        return born(self.pid) == self.born


def folder_of(home: Path) -> Path:
    """Where daemons of this home announce themselves."""
    return home / "run"


def announce(home: Path, daemon: Announced) -> Path:
    """Let clients find it; the file appears complete or not at all. Sweeps what dead ones left behind."""
    folder = folder_of(home)
    make_private(folder)
    find(home)
    path, part = folder / f"{daemon.pid}.json", folder / f"{daemon.pid}.part"
    try:
        with open(
            os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _PRIVATE), "wb"
        ) as file:
            file.write(msgspec.json.encode(daemon))
        part.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror}") from error
    return path


def find(home: Path) -> Announced | None:
    """The daemon of this home, the newest if there are several; files of dead ones are removed."""
    found: list[Announced] = []
    for path in folder_of(home).glob("*.json"):
        daemon = _read(path)
        if daemon is not None and daemon.is_alive:
            found.append(daemon)
        else:
            with suppress(OSError):  # somebody else was faster, or it is not ours to remove
                path.unlink()
    return max(found, key=lambda each: each.started_ns, default=None)


def born(pid: int) -> int:
    """When a process started, in ticks since the machine's start; 0 for one that is not there."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", errors="replace")
        state, *rest = text.rpartition(")")[2].split()
        return 0 if state == "Z" else int(rest[18])
    except (OSError, ValueError, IndexError):
        return 0


def _read(path: Path) -> Announced | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Announced)
    except (OSError, msgspec.DecodeError):
        return None
