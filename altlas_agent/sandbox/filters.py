"""System-call filters as hand-made BPF: one for the fork-server, one on top for each program.

Both are deny lists that answer with an errno; only a foreign architecture is fatal. The numbers are
those of x86-64; other architectures have no table, and then there is no filter.
"""

from __future__ import annotations

import errno
import itertools
import platform
import struct

Block = list[tuple[int, int, int, int]]

_LOAD, _AND, _JUMP, _RETURN = 0x20, 0x54, 0x05, 0x06
_IF_EQUAL, _IF_GREATER_EQUAL, _IF_BITS = 0x15, 0x35, 0x45
_ARCH_X86_64 = 0xC000003E
_FOREIGN_ABI = 0x40000000
_LAST_KNOWN_CALL = 462
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16

_KILL: Block = [(_RETURN, 0, 0, 0x80000000)]
_ALLOW: Block = [(_RETURN, 0, 0, 0x7FFF0000)]


def _fail(number: int) -> Block:
    return [(_RETURN, 0, 0, 0x00050000 | number)]


def _argument(index: int) -> tuple[int, int, int, int]:
    return (_LOAD, 0, 0, _ARGUMENTS + 8 * index)


_EPERM, _ENOSYS, _NO_FAMILY = _fail(errno.EPERM), _fail(errno.ENOSYS), _fail(errno.EAFNOSUPPORT)

_TERMINAL_INJECTION: Block = [
    _argument(1),
    (_IF_EQUAL, 2, 0, 0x5412),  # TIOCSTI
    (_IF_EQUAL, 1, 0, 0x541C),  # TIOCLINUX
    *_ALLOW,
    *_EPERM,
]
_UNIX_PAIR_ONLY: Block = [_argument(0), (_IF_EQUAL, 0, 1, 1), *_ALLOW, *_NO_FAMILY]
_NAMESPACE_FLAGS = 0x7E020000 | 0x80
_NO_NAMESPACES: Block = [_argument(0), (_IF_BITS, 0, 1, _NAMESPACE_FLAGS), *_EPERM, *_ALLOW]


def _no_device(mode_argument: int) -> Block:
    character, block = 0x2000, 0x6000
    return [
        _argument(mode_argument),
        (_AND, 0, 0, 0xF000),
        (_IF_EQUAL, 2, 0, character),
        (_IF_EQUAL, 1, 0, block),
        *_ALLOW,
        *_EPERM,
    ]


# ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd process_madvise process_mrelease
_FOREIGN_MEMORY = (101, 310, 311, 312, 438, 440, 448)
# bpf perf_event_open userfaultfd io_uring_* add_key request_key keyctl memfd_secret vmsplice
_KERNEL_MACHINERY = (321, 298, 323, 425, 426, 427, 248, 249, 250, 447, 278)
# modules, kexec, reboot, swap, quota, accounting, raw ports, local descriptor table
_ADMINISTRATION = (174, 175, 176, 177, 178, 313, 246, 320, 169, 167, 168, 179, 443, 163, 172, 173, 154)
# file handles, fanotify, setting clocks, host name, personality, hang-up, kernel log
_MACHINE_STATE = (303, 304, 300, 301, 227, 164, 159, 305, 170, 171, 135, 153, 103)
# mbind set_mempolicy get_mempolicy migrate_pages move_pages set_mempolicy_home_node
_NUMA = (237, 238, 239, 256, 279, 450)
# uselib ustat sysfs _sysctl nfsservctl get/putpmsg afs tux security vserver dcookie epoll_old remap
_LEGACY = (134, 136, 139, 156, 180, 181, 182, 183, 184, 185, 236, 212, 214, 215, 216)
# connect accept bind listen accept4: nothing a pair of connected sockets needs
_SOCKET_NAMES = (42, 43, 49, 50, 288)

_OUTER: dict[int, Block] = {
    **dict.fromkeys(
        (*_FOREIGN_MEMORY, *_KERNEL_MACHINERY, *_ADMINISTRATION, *_MACHINE_STATE, *_NUMA, *_LEGACY), _EPERM
    ),
    **dict.fromkeys(_SOCKET_NAMES, _EPERM),
    16: _TERMINAL_INJECTION,
    41: _NO_FAMILY,
    53: _UNIX_PAIR_ONLY,
    133: _no_device(1),
    259: _no_device(2),
}

# mount umount2 pivot_root chroot unshare setns open_tree move_mount fs* mount_setattr
_MOUNTS = (165, 166, 155, 161, 272, 308, 428, 429, 430, 431, 432, 433, 442)
# shmget semget msgget mq_open memfd_create: memory that no limit of a process counts
_UNCOUNTED_MEMORY = (29, 64, 68, 240, 319)
_CLONE, _CLONE3 = 56, 435

_INNER: dict[int, Block] = {
    **dict.fromkeys(_MOUNTS, _EPERM),
    **dict.fromkeys(_UNCOUNTED_MEMORY, _ENOSYS),
    _CLONE: _NO_NAMESPACES,
    _CLONE3: _ENOSYS,  # its flags lie in memory, out of sight; libc falls back to clone
}

_OWN_ONLY: Block = [_argument(0), (_IF_EQUAL, 0, 1, 0), *_ALLOW, *_EPERM]

_OWN_PRIORITY: Block = [
    _argument(0),
    (_IF_EQUAL, 0, 2, 0),
    _argument(1),
    (_IF_EQUAL, 1, 0, 0),
    *_EPERM,
    *_ALLOW,
]

# chmod chown utime xattr in all their forms: of any file of the user, for Landlock does not look at them
_FILE_FACTS = (90, 91, 92, 93, 94, 132, 188, 189, 190, 197, 198, 199, 235, 260, 261, 268, 280, 452)
# shmat semop semctl msgsnd msgrcv msgctl shmctl mq_*: what other processes of the user have made
_FOREIGN_OBJECTS = (30, 31, 65, 66, 69, 70, 71, 220, 241, 242, 243, 244, 245)
# inotify ioprio_set
_OTHER_PROCESSES = (253, 254, 294, 251)
# sched_setparam sched_setscheduler sched_setaffinity prlimit64 sched_setattr, which may name another process
_NAMING_A_PROCESS = (142, 144, 203, 302, 314)

_REDUCED: dict[int, Block] = {
    **dict.fromkeys((*_FILE_FACTS, *_FOREIGN_OBJECTS, *_OTHER_PROCESSES), _EPERM),
    **dict.fromkeys(_NAMING_A_PROCESS, _OWN_ONLY),
    141: _OWN_PRIORITY,
}


def outer() -> bytes:
    """The filter of the fork-server itself, which must still build namespaces; empty without a table."""
    return _assemble(_OUTER) if supported() else b""


def inner() -> bytes:
    """The filter that the fork-server puts on each program, on top of `outer`."""
    return _assemble(_INNER) if supported() else b""


def whole() -> bytes:
    """Both in one, for a jail whose only process is the program."""
    return _assemble(_OUTER | _INNER) if supported() else b""


def reduced() -> bytes:
    """All of it and more, for a program that no namespace keeps from the user's other files and processes."""
    return _assemble(_OUTER | _INNER | _REDUCED) if supported() else b""


def supported() -> bool:
    """Whether there is a table for this machine."""
    return platform.machine() == "x86_64"


def _assemble(rules: dict[int, Block]) -> bytes:
    gate: Block = [
        (_LOAD, 0, 0, _ARCH),
        (_IF_EQUAL, 1, 0, _ARCH_X86_64),
        *_KILL,
        (_LOAD, 0, 0, _NUMBER),
        (_IF_GREATER_EQUAL, 0, 1, _FOREIGN_ABI),
        *_KILL,
    ]
    return b"".join(struct.pack("HBBI", *line) for line in (*gate, *_tree(_ranges(rules))))


def _ranges(rules: dict[int, Block]) -> list[tuple[int, Block]]:
    """Where each run of call numbers with the same answer begins."""
    points = [(number, rules.get(number, _ALLOW)) for number in range(_LAST_KNOWN_CALL + 1)]
    points.append((_LAST_KNOWN_CALL + 1, _ENOSYS))
    return [next(run) for _, run in itertools.groupby(points, key=lambda point: id(point[1]))]


def _tree(ranges: list[tuple[int, Block]]) -> Block:
    """A balanced tree of comparisons, so that every call is answered after a few steps."""
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    low, high = _tree(ranges[:middle]), _tree(ranges[middle:])
    start = ranges[middle][0]
    if len(low) <= 0xFF:
        return [(_IF_GREATER_EQUAL, len(low), 0, start), *low, *high]
    return [(_IF_GREATER_EQUAL, 0, 1, start), (_JUMP, 0, 0, len(low)), *low, *high]
