"""Probes of the home: its disk, its database, who may look into it, who holds it, and the daemon in it."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from altlas_agent.cli.machine.checks import fail, ok, warn
from altlas_agent.core.errors import AltlasError
from altlas_agent.daemon.home import LOCK_NAME
from altlas_agent.daemon.service.discovery import find
from storage.database import FILE_NAME, SCHEMA, naming, verdict
from storage.reading.schema import schema_number

if TYPE_CHECKING:
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
    from altlas_agent.daemon.api.client import Client
    from altlas_agent.daemon.api.site import Liveness

    announced = find(home)
    if announced is None:
        return ok("daemon", "none runs in this home")
    said = f"process {announced.pid} of AltLAS {announced.version} at {announced.socket}"
    try:
        is_live, _ = Client(announced).probe("/healthz", Liveness, timeout_s=ANSWER_S)
    except AltlasError as error:
        return fail("daemon", error.message, "altlas daemon log says why; altlas daemon stop ends it")
    if not is_live:
        return fail(
            "daemon", f"{said} says that its loop is stuck", "altlas daemon status, altlas daemon log"
        )
    return ok("daemon", f"{said} answers")


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
