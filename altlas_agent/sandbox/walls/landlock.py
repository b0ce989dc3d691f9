"""Landlock: what a process and all below it may open, connect to and signal, without any namespace.

It leaves open what the filter `filters.reduced` closes: modes, owners and times of files, limits and
scheduling of other processes of the same user.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from altlas_agent.core.errors import NoJailError, SandboxError
from altlas_agent.sandbox import filters
from altlas_agent.sandbox.library import INSIDE

if TYPE_CHECKING:
    from collections.abc import Iterable

LOWEST_ABI = 6
"""The first that also confines signals and sockets without a path."""
LAYERS = ("landlock", "no-new-privs", "rlimits", "reduced")

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_ALL_FILES, _ALL_TCP, _ALL_SCOPES = (1 << 16) - 1, 0b11, 0b11
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_FOLDER = 1, 2, 4, 8
_TRUNCATE = 1 << 14
_READ = _EXECUTE | _READ_FILE | _READ_FOLDER
_OWN_FOLDER = _ALL_FILES & ~(1 << 6 | 1 << 9 | 1 << 11)  # no character device, no socket, no block device
_SECCOMP, _NO_NEW_PRIVS = 22, 38
_SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/ssl/openssl.cnf")
_libc = ctypes.CDLL(None, use_errno=True)


class Enclosure:
    """A folder of a program's own, and the rules under which it runs; made outside, entered after the fork."""

    def __init__(self, uid: int, *, folders: Iterable[str], files: dict[str, bytes]) -> None:
        """Raises NoJailError where the kernel has no Landlock of version 6, or there is no filter."""
        abi = _libc.syscall(_CREATE, None, 0, 1)
        if abi < LOWEST_ABI:
            raise NoJailError(f"the kernel offers Landlock version {max(abi, 0)}; {LOWEST_ABI} is needed")
        if not filters.supported():
            raise NoJailError(f"there is no system-call filter for {platform.machine()}")
        self.base = Path(tempfile.mkdtemp(prefix="altlas-jail-"))
        self.home = self.base / "tmp"
        self._staged = {path: self.base / Path(path).relative_to(INSIDE) for path in files}
        self._staged[INSIDE] = self.base
        self._stage(uid, files)
        self._lines = ctypes.create_string_buffer(filters.reduced())
        count = (len(self._lines) - 1) // 8
        self._filter = struct.pack("HP", count, ctypes.addressof(self._lines))
        self._rules = _ruleset()
        for path in (*_SYSTEM, *folders):
            self._allow(Path(path), _READ)
        self._allow(self.base, _READ_FILE | _READ_FOLDER)
        self._allow(self.home, _OWN_FOLDER)
        for device, access in (("null", _WRITE_FILE | _TRUNCATE), ("zero", 0), ("urandom", 0), ("random", 0)):
            self._allow(Path("/dev", device), _READ_FILE | access)

    def staged(self, word: str) -> str:
        """Where a file that was given lies, or the folder of them all; any other word stays as it is."""
        return str(self._staged.get(word, word))

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        """What was given, and where a program may write."""
        own = dict.fromkeys(("HOME", "TMPDIR"), str(self.home))
        return own | {name: self.staged(text) for name, text in given.items()}

    def enter(self) -> None:
        """In the new process, between fork and exec; there is no way back."""
        for result in (
            _libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0),
            _libc.syscall(_RESTRICT, self._rules, 0),
            _libc.prctl(_SECCOMP, 2, self._filter, 0, 0),
        ):
            if result:
                raise OSError(ctypes.get_errno(), "a layer of the reduced jail could not be put on")

    def close(self) -> None:
        """Remove the folder and all that the program put there. Idempotent."""
        if self._rules >= 0:
            os.close(self._rules)
            self._rules = -1
            shutil.rmtree(self.base, ignore_errors=True)

    def _stage(self, uid: int, files: dict[str, bytes]) -> None:
        self.base.chmod(0o755)
        self.home.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(self.home, uid, uid)
        for path, content in files.items():
            for folder in reversed(self._staged[path].relative_to(self.base).parents[:-1]):
                (self.base / folder).mkdir(exist_ok=True)
                (self.base / folder).chmod(0o755)
            self._staged[path].write_bytes(content)
            self._staged[path].chmod(0o444)

    def _allow(self, path: Path, access: int) -> None:
        try:
            fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            return  # not every system has all of them
        try:
            if not path.is_dir():
                access &= _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
            rule = struct.pack("=Qi", access, fd)
            if _libc.syscall(_ADD_RULE, self._rules, 1, rule, 0):
                raise SandboxError(
                    f"Landlock does not take a rule for {path}: {os.strerror(ctypes.get_errno())}"
                )
        finally:
            os.close(fd)


def _ruleset() -> int:
    attributes = struct.pack("=QQQ", _ALL_FILES, _ALL_TCP, _ALL_SCOPES)
    rules: int = _libc.syscall(_CREATE, attributes, len(attributes), 0)
    if rules < 0:
        raise SandboxError(f"Landlock gives no rules: {os.strerror(ctypes.get_errno())}")
    os.set_inheritable(rules, False)
    return rules
