"""Runs one JavaScript program in QuickJS, in the jail and in the process of that program.

A Python has it loaded before the first program comes (engines/quickjs.py), with an engine that has read its
prelude: a child only reads the program. Nothing of Python can be reached from a program but two functions that
take strings, and those only through the prelude. Standard library and `_quickjs` only, as all that it imports;
its package `quickjs` starts a thread, which a process that forks must not have.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import json
import os
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Protocol, cast

from altlas_agent.sandbox.engines.wording import OUR_LINES, misspelt, shown, uncaught

if TYPE_CHECKING:
    from collections.abc import Callable

STACK_BYTES = 19 * 1024 * 1024
"""As many calls deep as node: a frame takes QuickJS some 1.7 kB of the C stack."""

_ROOM_BYTES = 2 * 1024 * 1024
"""The part of the stack that is left to what is no frame of the program."""

_HEAD = "(function (exports, require, module, __filename, __dirname) {\n"
_READER = """(function (eval) {
  return (text) => {
    try { eval(text) } catch (error) { return error }
  };
})(eval)"""
"""Reads a text as a direct eval does, which puts it into nothing that it could close."""

_end_process = os._exit


class Job(NamedTuple):
    """What standard input holds: the fields in this order, joined by NULs, which no field but the last has."""

    no_program: int
    """An exit code, as the next one is."""
    for_node: int
    answer_bytes: int
    is_doubtful: bool
    """Whether the program may close the function that it is put into."""
    entry: str
    code: str
    stdin: str


class Context(Protocol):
    """The part of `_quickjs.Context` that is used: `eval` and functions raise what the script throws."""

    def eval(self, code: str) -> object: ...
    def add_callable(self, name: str, function: Callable[..., None]) -> None: ...
    def set_max_stack_size(self, size: int) -> None: ...
    def execute_pending_job(self) -> bool: ...


class Engine:
    """A QuickJS that looks like node. Made once, before the processes of programs are forked."""

    def __init__(self) -> None:
        self.for_node = 1
        module = _loaded("_quickjs")
        self.failure = cast("type[Exception]", module["JSException"])
        self.context = cast("Callable[[], Context]", module["Context"])()
        self.context.set_max_stack_size(_stack_bytes())
        self.context.add_callable("write", self._write)
        self.context.add_callable("leave", self.leave)
        self.harness = cast("Callable[..., str]", self.context.eval(_prelude()))

    def leave(self, why: object = "") -> NoReturn:
        """Give the program to node."""
        try:
            os.write(2, f"for node: {why}\n".encode(errors="replace"))
        finally:
            _end_process(self.for_node)

    def _write(self, stream: object, text: object, is_escaped: object) -> None:
        """What a stream does not take ends the process: no exception may get into the script."""
        try:
            whole = str(json.loads(str(text))) if is_escaped else str(text)
            write_all(2 if stream == 2 else 1, whole)
        except BaseException:  # noqa: BLE001 - whatever it is, the program could catch it
            _end_process(1)


def _loaded(name: str) -> dict[str, object]:
    """An extension that lies beside our package, where a jail has it, or anywhere on the path."""
    here = str(Path(__file__).parents[3])
    spec = importlib.machinery.PathFinder.find_spec(name, [here, *sys.path])
    if spec is None or spec.loader is None:
        raise ImportError(f"no module {name}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


def write_all(stream: int, text: str) -> None:
    """Also what is more than fits at once. Raises OSError when the stream takes no more."""
    left = memoryview(text.encode(errors="replace"))
    while left:
        left = left[os.write(stream, left) :]


def _stack_bytes() -> int:
    """What a script may fill of the stack, which grows up to what is allowed when it grows: in children too."""
    wanted = STACK_BYTES + _ROOM_BYTES
    soft, hard = resource.getrlimit(resource.RLIMIT_STACK)
    if resource.RLIM_INFINITY not in (soft, hard):
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_STACK, (wanted, hard))
    return wanted - _ROOM_BYTES


def _prelude() -> str:
    """The harness: a strict function, given two functions of ours, which are then gone from where programs look."""
    here = Path(__file__).parent
    text = "\n".join((here / name).read_text("utf-8") for name in ("inspect.js", "prelude.js"))
    below = "\n" * OUR_LINES
    taken = "delete globalThis.write; delete globalThis.leave;"
    return f'{below}(function (read, write, leave) {{ "use strict"; {taken}\n{text}\n}})({_READER}, write, leave)'


class Script:
    """The program of this process: compiled and run to its end, ready to be called."""

    def __init__(self) -> None:
        self._job, self._engine = _job(), _engine
        self._engine.for_node = self._job.for_node
        self._has_failed = False
        self._load()

    def _load(self) -> None:
        job = self._job
        tail = f'\n;return typeof {job.entry} === "function" ? {job.entry} : undefined;' if job.entry else ""
        said = self._asked("check", job.code) if job.is_doubtful else ""
        said = said or self._asked("load", f"{_HEAD}{job.code}{tail}\n}})", job.entry, job.stdin)
        if said == "missing":
            write_all(2, f"ReferenceError: the program defines no function {job.entry}\n")
            sys.exit(1)
        if said.startswith("?"):
            write_all(2, misspelt(said[1:], job.code))
            sys.exit(job.no_program)
        if said:
            self._fail(uncaught, said)

    def answer(self, arguments: str) -> str:
        """The JSON text of what the function answers, "" where that is none; the first failure is told."""
        said = self._asked("call", arguments)
        if said.startswith("="):
            return self._fitting(said[1:])
        self._fail(shown, said)

    def _fitting(self, answer: str) -> str:
        """It travels as a JSON string: what is too long only because of that is left to node."""
        cap = self._job.answer_bytes
        if 8 * len(answer) > cap and len(answer.encode()) <= cap < len(json.dumps(answer)):
            self._engine.leave("a long answer")
        return answer

    def _asked(self, *words: object) -> str:
        """What the harness says; what it does not survive, such as a want of memory, is left to node."""
        try:
            said = self._engine.harness(*words)
            if self._engine.context.execute_pending_job():
                self._engine.leave("a promise")
        except (self._engine.failure, SystemError, MemoryError, UnicodeError) as error:
            self._engine.leave(error)
        return said

    def _fail(self, told: Callable[[str, str, str, str], str], said: str) -> NoReturn:
        """The first failure is told."""
        if not self._has_failed:
            self._has_failed = True
            name, message, stack = json.loads(said)
            text = told(name, message, stack, self._job.code)
            if not text:
                self._engine.leave(f"{name}: {message}")
            write_all(2, text)
        sys.exit(1)


def _job() -> Job:
    """Read by the kernel's own means: Python's streams would have to be made first."""
    text = os.pread(0, os.fstat(0).st_size, 0).decode()
    no_program, for_node, answer_bytes, is_doubtful, entry, code, stdin = text.split("\0", 6)
    return Job(int(no_program), int(for_node), int(answer_bytes), is_doubtful == "1", entry, code, stdin)


_engine = Engine()


def run() -> None:
    """A program without calls."""
    Script()
