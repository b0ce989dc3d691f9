"""System calls that no program needs fail, and the filters are ones that a kernel accepts."""

from __future__ import annotations

import platform
import struct
from typing import TYPE_CHECKING

import pytest

from altlas_agent.core.records import Status
from altlas_agent.sandbox import filters

if TYPE_CHECKING:
    from tests.sandbox.conftest import Run

CALLS = {
    "ptrace": (101, 1), "bpf": (321, 1), "perf_event_open": (298, 1), "io_uring_setup": (425, 1), "add_key": (248, 1),
    "keyctl": (250, 1), "mount": (165, 1), "unshare": (272, 1), "setns": (308, 1), "pivot_root": (155, 1),
    "chroot": (161, 1), "fsopen": (430, 1), "userfaultfd": (323, 1), "process_vm_readv": (310, 1), "kexec_load": (246, 1),
    "socket": (41, 97), "clone3": (435, 38), "memfd_create": (319, 38), "shmget": (29, 38), "unknown": (900, 38),
}  # fmt: skip


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")
@pytest.mark.parametrize(("number", "errno"), CALLS.values(), ids=CALLS)
def test_dangerous_calls_fail_with_an_errno(run: Run, number: int, errno: int) -> None:
    code = f"import ctypes\nl = ctypes.CDLL(None, use_errno=True)\nprint(l.syscall({number}, 0, 0, 0, 0, 0), ctypes.get_errno())"
    assert run(code).stdout == f"-1 {errno}\n".encode()


@pytest.mark.parametrize("flag", [0x10000000, 0x00020000, 0x20000000, 0x40000000])
def test_no_program_makes_a_namespace(run: Run, flag: int) -> None:
    code = f"import ctypes\nl = ctypes.CDLL(None, use_errno=True)\nprint(l.syscall(56, {flag} | 17, 0, 0, 0, 0), ctypes.get_errno())"
    assert run(code).stdout == b"-1 1\n"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the machine code is that of x86-64")
@pytest.mark.parametrize("code", ["b8 14 00 00 00 cd 80 c3", "b8 27 00 00 40 0f 05 c3"], ids=["i386", "x32"])
def test_another_abi_ends_the_program(run: Run, code: str) -> None:
    result = run(f"""
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes.fromhex({code!r}))
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
print("alive")
""")
    assert (result.status, result.signal, result.stdout) == (Status.SIGNAL, 31, b"")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="there is a table for x86-64 only")
@pytest.mark.parametrize(
    "text", [filters.outer(), filters.inner(), filters.whole()], ids=["outer", "inner", "whole"]
)
def test_every_jump_of_a_filter_lands_inside_it(text: bytes) -> None:
    lines = list(struct.iter_unpack("HBBI", text))
    assert 10 < len(lines) < 1000
    for place, (code, if_true, if_false, _) in enumerate(lines):
        if code in (0x15, 0x35, 0x45):
            assert place + 1 + max(if_true, if_false) < len(lines)


def test_an_architecture_without_a_table_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert (filters.supported(), filters.outer(), filters.inner(), filters.whole()) == (False, b"", b"", b"")
