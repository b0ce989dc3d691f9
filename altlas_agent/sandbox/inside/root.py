"""The file system that programs find: as little of the jail's as they need; standard library only.

Every program gets a copy of the mounts, so each of them costs every program.
"""

from __future__ import annotations

import os
import platform

from altlas_agent.sandbox.inside.kernel import (
    BIND,
    DETACH,
    NO_DEV,
    NO_SUID,
    PIVOT_ROOT_CALL,
    READ_ONLY,
    REMOUNT,
    TREE,
    check,
    mount,
    mount_memory,
    syscall,
    umount,
)

DEVICES = ("null", "zero", "full", "random", "urandom")
LINKS = {"bin": "usr/bin", "lib": "usr/lib", "lib64": "usr/lib64"}
LOADER_CACHE = "/etc/ld.so.cache"
_NEW = "/tmp"


def move_to_small_root(folders: list[str]) -> None:
    """Leave everything behind but /usr, `folders` and some devices; only /tmp and /dev/shm can be mounted over.

    Raises OSError when the kernel refuses.
    """
    mount_memory(_NEW.encode(), NO_SUID | NO_DEV, "size=256k,nr_inodes=256,mode=755")
    for name in ("tmp", "dev/shm", "proc", "old"):
        os.makedirs(f"{_NEW}/{name}")
    for name, target in LINKS.items():
        os.symlink(target, f"{_NEW}/{name}")
    for folder in ("/usr", *folders):
        os.makedirs(f"{_NEW}{folder}", exist_ok=True)
        _bind(folder)
    for file in (LOADER_CACHE, *(f"/dev/{name}" for name in DEVICES)):
        if os.path.exists(file):
            os.makedirs(os.path.dirname(f"{_NEW}{file}"), exist_ok=True)
            os.close(os.open(f"{_NEW}{file}", os.O_CREAT | os.O_WRONLY, 0o444))
            _bind(file)
    _turn()


def _bind(path: str) -> None:
    check(mount(path.encode(), f"{_NEW}{path}".encode(), None, BIND | TREE, None), f"bind {path}")


def _turn() -> None:
    """What was the root is gone, and the new one can no longer be written to."""
    check(syscall(PIVOT_ROOT_CALL[platform.machine()], _NEW.encode(), f"{_NEW}/old".encode()), "pivot_root")
    os.chdir("/")
    check(umount(b"/old", DETACH), "leaving the old root")
    os.rmdir("/old")
    check(mount(None, b"/", None, REMOUNT | BIND | READ_ONLY | NO_SUID | NO_DEV, None), "read-only root")
