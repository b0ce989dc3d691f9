"""Compiles and runs one Python program as a normal interpreter would; standard library only.

The fork-server calls `run_program` in a child that is already confined. Started as a script, with
four descriptors, this module runs one request in its own process, whose jail is its own.
The values of calls go into shared memory, not into a stream that the program could close or fill.
"""

from __future__ import annotations

import _thread
import atexit
import builtins
import gc
import json
import mmap
import os
import resource
import struct
import sys
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn, TypedDict, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    Area = mmap.mmap | memoryview

MAIN_FILE = "program.py"
CONFINED, COMPILED = 1, 2
BOOT_AT = 16
_INTERPRETER_BYTES = 64 * 1024 * 1024

_count_threads: Callable[[], int] = vars(_thread)["_count"]
_run_exit_functions: Callable[[], None] = vars(atexit)["_run_exitfuncs"]
end_process = os._exit  # kept, for a program may replace the name in `os`


class Job(TypedDict):
    """The numbers of a request: how long the parts of its body are, and the limits. Times in microseconds."""

    source: int
    stdin: int
    entry: int
    calls: int
    answer_area: int
    cpu_us: int
    cpu_hard_s: int
    wall_us: int
    memory_bytes: int
    address_bytes: int
    output_bytes: int
    file_bytes: int
    processes: int
    open_files: int
    tmp_bytes: int
    tmp_inodes: int
    shm_bytes: int
    shm_inodes: int


NAMES = tuple(Job.__annotations__)
NUMBERS = f"@{len(NAMES)}q"
"""How a job travels: `struct job` of server.c, on one machine and therefore in its own byte order."""


class Request:
    """Numbers and body, taken apart no further than is needed: a child pays for every object it touches."""

    __slots__ = ("body", "numbers")

    def __init__(self, numbers: tuple[int, ...], body: bytes) -> None:
        self.numbers, self.body = numbers, body

    @property
    def job(self) -> Job:
        return cast("Job", dict(zip(NAMES, self.numbers, strict=True)))

    @property
    def source(self) -> bytes:
        return self.body[: self.numbers[0]]

    @property
    def stdin(self) -> bytes:
        return self.body[self.numbers[0] :][: self.numbers[1]]

    @property
    def entry(self) -> str:
        return self.body[sum(self.numbers[:2]) :][: self.numbers[2]].decode()

    @property
    def calls(self) -> bytes:
        return self.body[sum(self.numbers[:3]) :]


def limit(job: Job, *, processes: int, address_bytes: int) -> None:
    """The limits of the kernel, which a program may lower and never raise; 0 processes sets none."""
    for kind, value in (
        (resource.RLIMIT_CPU, job["cpu_hard_s"]),
        (resource.RLIMIT_AS, address_bytes),
        (resource.RLIMIT_FSIZE, job["file_bytes"]),
        (resource.RLIMIT_NOFILE, job["open_files"]),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (value, value))
    if processes:
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))


def look_normal() -> None:
    """Hide how this interpreter was started, and offer the names that `site`, which is not loaded, gives."""
    import _sitebuiltins
    import builtins

    for name in ("exit", "quit"):
        setattr(builtins, name, _sitebuiltins.Quitter(name, "Ctrl-D (i.e. EOF)"))
    sys.argv, sys.orig_argv = [MAIN_FILE], [sys.executable, MAIN_FILE]
    ours = os.environ.pop("PYTHONPATH", None)
    for name in ("PWD", "LD_BIND_NOW"):
        os.environ.pop(name, None)
    sys.path[:] = [entry for entry in sys.path if entry != ours]


def run_program(request: Request, stage: mmap.mmap, answers: Area | None) -> NoReturn:
    """Run the program and end the process; `stage` says how far it came and is gone before it starts."""
    stage[0] = CONFINED
    gc.enable()
    if "random" in sys.modules:
        sys.modules["random"].seed()
    try:
        code = compile(request.source, MAIN_FILE, "exec", dont_inherit=True)
    except BaseException as error:  # noqa: BLE001 - whatever stops the compiler is the program's fault
        _report(error, None)
        finish(1)
    stage[0] = COMPILED
    stage.close()
    module = program_module("program" if request.numbers[2] else "__main__")
    sys.modules[module.__name__] = sys.modules["__main__"] = module
    exit_code = guarded(lambda: exec(code, module.__dict__))
    if answers is not None and exit_code == 0:
        exit_code = answer(request, module, answers)
    finish(exit_code)


def program_module(name: str) -> ModuleType:
    """What a program finds as its own module."""
    module = ModuleType(name)
    module.__dict__.update(__file__=MAIN_FILE, __builtins__=builtins)
    return module


def guarded(call: Callable[[], object], *, show: bool = True) -> int:
    """The exit code that a normal interpreter gives to what the call raises; 0 when it returns."""
    try:
        call()
    except BaseException as error:  # noqa: BLE001 - the end of a foreign program, whatever it raised
        return exit_code_of(error, show=show)  # the frames of this and of its lambda are ours
    return 0


def exit_code_of(error: BaseException, *, show: bool = True) -> int:
    """The exit code of a program that raised this, which is shown without the two frames that led to the program."""
    if not isinstance(error, SystemExit):
        if show:
            trace = error.__traceback__
            _report(error, trace and trace.tb_next and trace.tb_next.tb_next)
        return 1
    if error.code is None or isinstance(error.code, int):
        return (error.code or 0) & 0xFF
    _say(f"{error.code}")
    return 1


def _report(error: BaseException, trace: TracebackType | None) -> None:
    try:
        sys.excepthook(type(error), error.with_traceback(trace), trace)
    except BaseException:  # noqa: BLE001 - the hook may be the program's own
        _say("Error in sys.excepthook")


def _say(text: str) -> None:
    try:
        sys.stderr.write(f"{text}\n")
    except BaseException:  # noqa: BLE001 - the stream may be the program's own
        return


def answer(request: Request, module: ModuleType, area: Area) -> int:
    """Write one JSON text per call, each behind its length; a call without an answer has length 0.

    What an earlier call wrote stays when a later one never ends. Only the first failure is shown.
    """
    function, cap = module.__dict__.get(request.entry), request.job["output_bytes"]
    decode, encode = json.JSONDecoder().decode, json.JSONEncoder(allow_nan=False).encode
    calls: list[str] = json.loads(request.calls)
    exit_code, position = 0, 4
    if not callable(function):
        _say(f"NameError: the program defines no function {request.entry!r}")
        return 1
    for number, arguments in enumerate(calls):
        returned: list[object] = []
        failed = guarded(lambda: returned.append(function(*decode(arguments))), show=not exit_code)  # noqa: B023
        exit_code = exit_code or failed or (not returned)
        text = _encoded(encode, returned[0], cap) if returned else b""
        if position + len(text) + 4 * (len(calls) - number) > len(area):
            text = b""
        struct.pack_into(f"<I{len(text)}s", area, position, len(text), text)
        position += 4 + len(text)
        struct.pack_into("<I", area, 0, position)
    return int(exit_code)


def _encoded(encode: Callable[[object], str], value: object, cap: int) -> bytes:
    try:
        text = encode(value).encode()
    except BaseException:  # noqa: BLE001 - a value that is not JSON is no answer
        return b""
    return text if len(text) <= cap else b""


def finish(exit_code: int) -> NoReturn:
    """Threads, exit functions and streams, as at the end of a normal interpreter; then the end."""
    if _count_threads():
        guarded(sys.modules["threading"]._shutdown)
    guarded(_run_exit_functions)
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except BaseException:  # noqa: BLE001 - a foreign stream may raise anything
            exit_code = exit_code or 120
    end_process(exit_code)


def main(fds: Iterable[int], modules: Iterable[str]) -> NoReturn:
    """Load modules, wait for the word to go, then run the one request."""
    go, request_fd, stage_fd, answers_fd = fds
    for name in modules:
        __import__(name)
    look_normal()
    os.read(go, 1)
    text = os.pread(request_fd, os.fstat(request_fd).st_size, 0)
    request = Request(struct.unpack_from(NUMBERS, text), text[struct.calcsize(NUMBERS) :])
    job = request.job
    stage = mmap.mmap(stage_fd, mmap.PAGESIZE)
    own = resource.getrusage(resource.RUSAGE_SELF)
    struct.pack_into("<dd", stage, BOOT_AT, own.ru_utime + own.ru_stime, own.ru_stime)
    answers = mmap.mmap(answers_fd, job["answer_area"]) if job["answer_area"] else None
    os.closerange(3, max(go, request_fd, stage_fd, answers_fd) + 1)
    limit(
        job,
        processes=job["processes"],
        address_bytes=job["address_bytes"] + _INTERPRETER_BYTES + job["answer_area"],
    )
    run_program(request, stage, answers)


if __name__ == "__main__":
    main(map(int, sys.argv[1:5]), sys.argv[5:])
