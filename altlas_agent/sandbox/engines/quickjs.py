"""Runs JavaScript programs in QuickJS where it does what node does, and in node where it may not.

    worker                          jail for Python, one process per program    jail with node
    a look at the text         ->                                               what QuickJS cannot do, at once
    code and input, JSON       ->   runs it with a share of its limits
    ERROR with `_FOR_NODE`     <-   reached for what only node has         ->   runs it as if nothing had been
    over a limit, or crashed   <-   ended                                  ->   the same: node has the last word
    a share of the others      ------------------------------------------->   must show the same

A process of QuickJS costs a twentieth of one of node, and stands behind the same walls as a Python program. What
it shows counts only where node would show the same, so a program has one verdict, whatever ran it; which engine it
was, the result says.
"""

from __future__ import annotations

import logging
import re
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as version_of
from typing import TYPE_CHECKING

import msgspec

from altlas_agent.core.errors import ServiceMissingError
from altlas_agent.core.records import Program, Status
from altlas_agent.core.text import safe
from altlas_agent.sandbox.library import Library, extension
from altlas_agent.sandbox.limits import FLOORS
from altlas_agent.sandbox.runner import json_text

if TYPE_CHECKING:
    from altlas_agent.core.records import Limits, RunResult
    from altlas_agent.sandbox.runner import Runner

logger = logging.getLogger(__name__)

ENGINE = "quickjs"
PACKAGE, EXTENSION = "quickjs-ng", "_quickjs"
CPU_SHARE = 0.25
"""The part of its CPU time after which a program is given to node, which is faster the longer it runs."""

_FOLDER = "altlas_agent/sandbox/engines"
_SCRIPTS = "altlas_agent.sandbox.engines.scripts"  # not imported: only jails need the engine
_RUN = f"from {_SCRIPTS} import run\nrun()\n"
_ANSWER = f"from {_SCRIPTS} import Script\nanswer = Script().answer\n"
_NO_PROGRAM, _FOR_NODE = 65, 75
"""Exit codes for text that is no program, and for what only node can run. No program can choose its own."""

LIBRARY = Library(
    paths=tuple(f"{_FOLDER}/{name}" for name in ("scripts.py", "wording.py", "inspect.js", "prelude.js")),
    modules=(_SCRIPTS,),
    extensions=(EXTENSION,),
)
"""What runs scripts, and all that it imports."""

_OURS = frozenset({Status.SUCCESS, Status.ERROR, Status.COMPILE_ERROR, Status.OUTPUT_LIMIT, Status.INTERNAL})
"""What the lane itself may say of a program; over any other limit node has the last word."""

_BRACES = re.compile(r"[{}]")
_PLAIN_TEXT = re.compile(r'"[^"\\\n{}]*"|\'[^\'\\\n{}]*\'')
_MAY_HIDE_BRACES = re.compile(r"['\"`/\\]")

_NOT_OURS = re.compile(
    r"\b(?:async|await|import|catch|using)\b"  # promises, modules, and errors whose texts differ
    r"|(?<![*/])\*\*(?![*/])"  # powers, which differ in their last digit
    r"|\(\?[a-z]*-?[a-z]+:"  # patterns of a later standard
)


class QuickJs:
    """A process of QuickJS per program, or of node. Its verdicts are those of node."""

    def __init__(self, python: Runner, node: Runner, *, cross_check: float = 0.0) -> None:
        """`python` has LIBRARY loaded; both become ours. `cross_check` is the share of programs that both run."""
        self._python, self._node = python, node
        self._cross_check = cross_check
        self.compared = self.disagreed = 0

    def alive(self) -> str:
        """The identity of the Python, under our name."""
        identity = self._python.alive()
        return identity and f"{ENGINE}:{identity.partition(':')[2]}"

    def run(self, program: Program, limits: Limits) -> RunResult:
        """As node would show it; `engine` is the one that did."""
        result = None if needs_node(program.code) else self._quickly(program, limits)
        if result is None:
            return self._node.run(program, limits)
        if result.status is not Status.INTERNAL and is_in_share(program, self._cross_check):
            return self._compared(program, limits, result)
        return result

    def close(self) -> None:
        """End both."""
        self._python.close()
        self._node.close()

    def _quickly(self, program: Program, limits: Limits) -> RunResult | None:
        """What QuickJS shows; None for what node has to show."""
        cpu_s = max(FLOORS.cpu_s, CPU_SHARE * limits.cpu_s)
        asked = _asked(program, limits.output_kb * 1024)
        # It starts no other process; its Python is one itself.
        result = self._python.run(asked, msgspec.structs.replace(limits, cpu_s=cpu_s, processes=1))
        status, code = result.status, result.exit_code
        if status not in _OURS or (status is Status.ERROR and code == _FOR_NODE):
            return None
        if status is Status.ERROR and code == _NO_PROGRAM:
            result = msgspec.structs.replace(result, status=Status.COMPILE_ERROR, exit_code=1)
        returns = tuple(_inner(text, limits.output_kb * 1024) for text in result.returns)
        return msgspec.structs.replace(result, returns=returns, engine=ENGINE)

    def _compared(self, program: Program, limits: Limits, quick: RunResult) -> RunResult:
        """What node shows of a program that QuickJS has run; a difference is told and counted."""
        result = self._node.run(program, limits)
        if result.status is Status.INTERNAL:  # which says nothing about the program
            return result
        self.compared += 1
        if _seen(result) != _seen(quick):
            self.disagreed += 1
            logger.warning(
                "quickjs and node disagree on %d of %d programs compared; node: %s; quickjs: %s; the program: %s",
                self.disagreed,
                self.compared,
                *(safe(repr(each), keep_newlines=False) for each in (_seen(result), _seen(quick), program)),
            )
        return result


def needs_node(code: str) -> bool:
    """Whether a text uses what QuickJS does not do as node does; reaching for the rest is noticed as it runs."""
    return _NOT_OURS.search(code) is not None


def version() -> str:
    """Of the package, "" when it is not installed."""
    try:
        return version_of(PACKAGE)
    except PackageNotFoundError:
        return ""


def check_installed() -> None:
    """Raises ServiceMissingError when there is no QuickJS."""
    try:
        extension(EXTENSION)
    except ServiceMissingError:
        raise ServiceMissingError(
            f'there is no {PACKAGE}, which sandbox.javascript = "{ENGINE}" needs; install it: pip install {PACKAGE}'
        ) from None


def may_break_out(code: str) -> bool:
    """Whether a text may close a function that it is put into. Braces that are text might hide one that is not."""
    plain = _PLAIN_TEXT.sub("", code)
    if _MAY_HIDE_BRACES.search(plain):
        return True
    depth = 0
    for brace in _BRACES.findall(plain):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return True
    return False


def _asked(program: Program, answer_bytes: int) -> Program:
    """The same as a Python program; arguments and answers stay texts, as JavaScript reads and writes them."""
    numbers = (_NO_PROGRAM, _FOR_NODE, answer_bytes, int(may_break_out(program.code)))
    stdin = "\0".join((*map(str, numbers), program.entry, program.code, program.stdin))
    if not program.calls:
        return Program(language="python", code=_RUN, stdin=stdin)
    calls = tuple(msgspec.json.encode([call]).decode() for call in program.calls)
    return Program(language="python", code=_ANSWER, stdin=stdin, entry="answer", calls=calls)


def _inner(text: str, cap: int) -> str:
    """The answer that a JSON text holds as a string; "" for one that is too long or none."""
    try:
        answer = msgspec.json.decode(text, type=str) if text else ""
    except msgspec.DecodeError:
        return ""
    raw = answer.encode(errors="replace")
    return json_text(raw) if 0 < len(raw) <= cap else ""


def is_in_share(program: Program, share: float) -> bool:
    """The same programs at any time and on any machine."""
    if share <= 0:
        return False
    digest = blake2b(msgspec.msgpack.encode(program), digest_size=8).digest()
    return int.from_bytes(digest, "big") < share * 2**64


def _seen(result: RunResult) -> tuple[Status, int | None, tuple[str, ...], bytes]:
    """What a verdict rests on."""
    return result.status, result.exit_code, result.returns, result.stdout
