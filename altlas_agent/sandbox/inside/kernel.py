"""The calls of the kernel that the fork-server needs and Python does not offer; standard library only."""

from __future__ import annotations

import ctypes
import os
import struct

NEW_NS, NEW_IPC, NEW_USER, NEW_PID = 0x00020000, 0x08000000, 0x10000000, 0x20000000
SHARE_MEMORY, SHARE_FILES, GIVE_PIDFD = 0x00000100, 0x00000600, 0x00001000
CLONE_CALL = {"x86_64": 56, "aarch64": 220}
PIVOT_ROOT_CALL = {"x86_64": 155, "aarch64": 41}
CLOSE_RANGE_CALL = 436
READ_ONLY, NO_SUID, NO_DEV, REMOUNT, BIND, TREE, PRIVATE = 1, 2, 4, 32, 0x1000, 0x4000, 0x40000
DETACH = 2
DIE_WITH_PARENT, DUMPABLE, SECCOMP, NO_NEW_PRIVS = 1, 4, 22, 38
CAPABILITY_HEADER, NO_CAPABILITIES = struct.pack("II", 0x20080522, 0), bytes(24)

libc = ctypes.PyDLL(None, use_errno=True)
# Looked up here, for in a child each first look-up costs.
clone, syscall, unshare, setns = libc.clone, libc.syscall, libc.unshare, libc.setns
mount, umount, prctl, capset, pause = libc.mount, libc.umount2, libc.prctl, libc.capset, libc.pause


def check(result: int, what: str) -> int:
    """The result of a call to the C library; raises OSError when it failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def mount_memory(where: bytes, flags: int, options: str) -> None:
    """A file system in memory over `where`; raises OSError when the kernel refuses."""
    check(mount(b"tmpfs", where, b"tmpfs", flags, options.encode()), f"mount {where.decode()}")
