"""Probes of the home: its disk, its database, who may look into it, who holds it, and the daemon in it."""

from __future__ import annotations

import json
import os
import shutil
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING, cast

from altlas_agent.cli.machine.checks import fail, ok, warn
from altlas_agent.daemon.home import LOCK_NAME
from storage.database import FILE_NAME, SCHEMA, naming, verdict
from storage.reading.schema import schema_number
from storage.reading.status import is_alive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.cli.machine.checks import Check

LITTLE_BYTES = 2_000_000_000
TOO_LITTLE_BYTES = 200_000_000
ANSWER_S = 2.0
"""How long a daemon may take to answer."""

_GB = 1e9
_MB = 1e6
_OTHERS_READ = stat.S_IRGRP | stat.S_IXGRP | stat.S_IROTH | stat.S_IXOTH
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def disk(home: Path) -> Check:
    """Is there room where the home lies?"""
    folder = next(each for each in (home, *home.parents) if each.exists())
    free = shutil.disk_usage(folder).free
    said = f"{free / _GB:.1f} GB free at {folder}"
    if free < TOO_LITTLE_BYTES:
        return fail("disk", said, "make room, or choose another home: a run would stop and wait for it")
    if free < LITTLE_BYTES:
        return warn("disk", said, "make room: a long run needs some GB")
    return ok("disk", said)


def database(home: Path) -> Check:
    """Are the pages of the database whole?"""
    path = home / FILE_NAME
    if not path.is_file():
        return ok("database", f"none yet at {path}")
    with naming(path):
        found = verdict(path)
    said = f"{path}, {path.stat().st_size / _MB:.1f} MB"
    if found != "ok":
        return fail("database", f"{said}: {found}", "altlas db recover saves what can be read")
    return ok("database", f"{said}: the quick check finds it whole")


def schema(home: Path) -> Check:
    """Does this program know the schema of the database?"""
    path = home / FILE_NAME
    if not path.is_file():
        return ok("schema", f"{SCHEMA} is what this program makes")
    number = schema_number(path)
    said = f"the database has schema {number}, this program knows {SCHEMA}"
    if number > SCHEMA:
        return fail("schema", said, "install the newer AltLAS that wrote it, or use another --home")
    if number < SCHEMA:
        return warn("schema", said, "nothing: the next 'altlas run start' backs it up and migrates it")
    return ok("schema", said)


def home_folder(home: Path) -> Check:
    """Can the home be used, by us only, and who holds it?"""
    if not home.exists():
        return ok("home", f"{home} is not there yet: the first run makes it")
    found = home.stat()
    if not home.is_dir() or not os.access(home, os.W_OK | os.X_OK):
        return fail(
            "home", f"{home} is no folder that can be written in", "choose another --home, or chmod it"
        )
    if found.st_uid != os.geteuid() or found.st_mode & _OTHERS_WRITE:
        return fail("home", f"others may write in {home}", f"chmod 700 {home}")
    held = f"held by {holder}" if (holder := _holder(home / LOCK_NAME)) else "nobody holds it"
    if found.st_mode & _OTHERS_READ:
        return warn("home", f"others may read what lies in {home}; {held}", f"chmod 700 {home}")
    return ok("home", f"{home}: {held}")


def daemon(home: Path) -> Check:
    """Does the daemon of this home answer, if there is one?"""
    found = list(_announced(home))
    if not found:
        return ok("daemon", "none runs in this home")
    for address in found:
        if trouble := _trouble(address):
            return fail("daemon", f"it does not answer at {address}: {trouble}", "altlas daemon log says why")
    return ok("daemon", f"it answers at {', '.join(found)}")


def _holder(lock: Path) -> str:
    """What the holder of the lock wrote into it; nothing when the kernel knows of no holder."""
    try:
        inode = lock.stat().st_ino
        locks = Path("/proc/locks").read_text("ascii")
    except OSError:
        return ""
    if not any(f":{inode} " in line and "FLOCK" in line for line in locks.splitlines()):
        return ""
    return lock.read_text("utf-8", errors="replace").strip() or "a process that has not said who it is"


def _announced(home: Path) -> Iterator[str]:
    """The sockets that living daemons have announced."""
    for path in (home / "run").glob("*.json"):
        try:
            told: object = json.loads(path.read_bytes())
        except (OSError, ValueError):
            continue
        if isinstance(told, dict):
            fields = cast("dict[str, object]", told)
            pid, address = fields.get("pid"), fields.get("socket")
            if isinstance(pid, int) and isinstance(address, str) and is_alive(pid):
                yield address


def _trouble(address: str) -> str:
    """Why there is no answer to a request; empty when there is one, whatever it says."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(ANSWER_S)
            connection.connect(address)
            connection.sendall(b"GET /v1/info HTTP/1.1\r\nHost: altlas\r\nConnection: close\r\n\r\n")
            return "" if connection.recv(5) == b"HTTP/" else "what answers is no daemon"
    except OSError as error:
        return error.strerror or str(error)
