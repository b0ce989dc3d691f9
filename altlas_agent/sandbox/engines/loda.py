"""Runs LODA programs: the interpreter of AltLAS in a jail for Python, told by standard input what to compute.

    worker                       jail, one process per program
    code and arguments, JSON ->  parses, computes, writes terms or answers calls
    COMPILE_ERROR by its exit <- ends

Steps, cells and digits are limited by the machine, all else by the jail, as for any language.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.records import Program, Status
from altlas_agent.sandbox.library import OUTSIDE, Library
from altlas_agent.sandbox.runner import refused

if TYPE_CHECKING:
    from altlas_agent.core.records import Limits, RunResult
    from altlas_agent.sandbox.runner import Runner

LAYER = "loda-machine"

_TERMS = "altlas_agent.sandbox.engines.terms"  # not imported: only jails need an interpreter
_WRITE = f"from {_TERMS} import write\nwrite()\n"
_ANSWER = f"from {_TERMS} import Terms\nterm = Terms().term\n"
_NO_PROGRAM = 3
"""The exit code for text that is no program. No program can buy it: they choose none."""

_MACHINE = sorted((OUTSIDE / "altlas_agent" / "languages" / "machine").glob("*.py"))
LIBRARY = Library(
    paths=(
        "altlas_agent/core/errors.py",
        "altlas_agent/languages/base.py",
        "altlas_agent/languages/loda.py",
        "altlas_agent/languages/loda_machine.py",
        *(str(path.relative_to(OUTSIDE)) for path in _MACHINE),
        f"{_TERMS.replace('.', '/')}.py",
    ),
    modules=(_TERMS,),
)
"""What computes terms, and all that it imports."""

_ARGUMENT = re.compile(r"-?[0-9]{1,18}")


class Loda:
    """A process per program. Standard input holds the arguments, none of them asks for the first ten terms."""

    def __init__(self, python: Runner) -> None:
        """`python` has LIBRARY loaded, and becomes ours."""
        self._python = python

    def alive(self) -> str:
        """The identity of the Python, under our name."""
        identity = self._python.alive()
        return identity and f"loda:{identity.partition(':')[2]}"

    def run(self, program: Program, limits: Limits) -> RunResult:
        """A term a line; for calls, whose entry may have any name, the term of each."""
        words = [call.strip("[] \n") for call in program.calls] or program.stdin.split()
        wrong = next((word for word in words if not _ARGUMENT.fullmatch(word)), None)
        if wrong is not None:
            return refused(f"LODA programs take whole numbers of at most 18 digits, not {wrong[:40]!r}")
        asked = _asked(program, [int(word) for word in words])
        # It starts no other process; its Python is one itself.
        result = self._python.run(asked, msgspec.structs.replace(limits, processes=1))
        layers = (LAYER, *result.layers)
        if result.status is Status.ERROR and result.exit_code == _NO_PROGRAM:
            result = msgspec.structs.replace(result, status=Status.COMPILE_ERROR, exit_code=1)
        return msgspec.structs.replace(result, layers=layers, engine="loda")

    def close(self) -> None:
        """End the jail."""
        self._python.close()


def _asked(program: Program, arguments: list[int]) -> Program:
    """The same as a Python program."""
    given = None if program.calls or not arguments else arguments
    job = {"code": program.code, "arguments": given, "no_program": _NO_PROGRAM}
    stdin = msgspec.json.encode(job).decode()
    if not program.calls:
        return Program(language="python", code=_WRITE, stdin=stdin)
    calls = tuple(f"[{argument}]" for argument in arguments)
    return Program(language="python", code=_ANSWER, stdin=stdin, entry="term", calls=calls)
