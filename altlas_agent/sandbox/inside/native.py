"""The fork-server's loop in C (server.c), seen from Python: filled once, then asked to serve."""

from __future__ import annotations

import _thread
import atexit
import ctypes
import mmap
import random
import signal
import struct
import sys
from typing import TYPE_CHECKING

from altlas_agent.sandbox.inside.program import NUMBERS, Request, program_module

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

SLOW, CALLS, FINISH, END = range(4)
"""What `serve` answers: the program takes longer than a tick; this is the child, whose calls are to be answered, or
whose end is not a plain one; there is no more."""

_OBJECTS = 7
_SERVER = f"@7q4P{_OBJECTS}P9qP"
"""`struct server` of server.h without job and reply at its end."""
_HEAD = f"@7q4P{_OBJECTS}P"
_SLOW, _SLOW_AT = "@2q", struct.calcsize(_HEAD)
_REQUEST, _REQUEST_AT = f"@q48xP{NUMBERS[1:]}", struct.calcsize(f"{_HEAD}2q")
_JOB_AT = struct.calcsize(_SERVER)
_REPLY_BYTES = 1 << 14


def load(path: str) -> ctypes.PyDLL | None:
    """The compiled helper; None without one, or when it does not fit this machine.

    With it, what we weigh moves onto huge pages where there are any, so load it last.
    """
    try:
        library = ctypes.PyDLL(path)
        library.gather_pages()
    except (OSError, AttributeError):
        return None
    return library


class Native:
    """The compiled loop and what it works on."""

    def __init__(
        self,
        library: ctypes.PyDLL,
        *,
        numbers: tuple[int, ...],
        filter_: ctypes.Array[ctypes.c_char] | None,
        stack_top: int,
        stage: int,
    ) -> None:
        """`numbers` are the first seven of `struct server`, `stage` an address."""
        self._serve: Callable[[object], int] = library.serve
        finish = library.finish
        finish.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_int64)
        self._finish: Callable[[object, int, int, int], int] = finish
        self._collapse: Callable[[], None] = library.collapse_pages
        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        self._body = mmap.mmap(-1, numbers[-1] + 1, private)
        self._filter = filter_
        filter_address = ctypes.addressof(filter_) if filter_ else 0
        self._server = mmap.mmap(-1, _JOB_AT + struct.calcsize(NUMBERS) + _REPLY_BYTES, private)
        self._address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(self._server)))
        body = ctypes.addressof(ctypes.c_char.from_buffer(self._body))
        self._objects = _objects()
        objects = map(id, self._objects)
        addresses = (filter_address, stack_top, stage, body, *objects)
        struct.pack_into(_SERVER, self._server, 0, *numbers, *addresses, *[0] * 9, 0)
        sys.modules["__main__"] = self._objects[0]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        library.keep_interrupt()

    def serve(self) -> int:
        """Answer requests for as long as each ends within a tick; in a child, raises what its program raises."""
        return self._serve(self._address)

    def slow(self) -> tuple[int, float, Request]:
        """The pidfd of a program that takes longer, when it began, and what was asked."""
        pidfd, began_us = struct.unpack_from(_SLOW, self._server, _SLOW_AT)
        return pidfd, began_us / 1e6, Request(struct.unpack_from(NUMBERS, self._server, _JOB_AT), b"")

    def finish(self, broken: int, seen_cpu_s: float) -> bool:
        """End the slow program and reply; False when the worker has hung up."""
        goes_on = self._finish(self._address, 0, broken, round(seen_cpu_s * 1e6)) == 0
        self._collapse()  # while it was watched, Python has written to memory that forks share
        return goes_on

    def calls(self) -> tuple[Request, ModuleType, memoryview]:
        """In a child that has run its program: what is asked of it, of which module, and where its answers go."""
        size, answers, *numbers = struct.unpack_from(_REQUEST, self._server, _REQUEST_AT)
        request = Request(tuple(numbers), self._body[:size])
        area = (ctypes.c_char * request.job["answer_area"]).from_address(answers)
        return request, self._objects[1], memoryview(area).cast("B")


def _objects() -> tuple[ModuleType, ModuleType, object, object, object, object, object]:
    """`struct python` of server.h."""
    generator: random.Random = vars(random)["_inst"]
    reseed = super(random.Random, generator).seed
    count_threads, count_exits = vars(_thread)["_count"], vars(atexit)["_ncallbacks"]
    modules = program_module("__main__"), program_module("program")
    return *modules, reseed, count_threads, count_exits, sys.stdout, sys.stderr
