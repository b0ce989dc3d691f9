"""From what a run showed to ToolFeedback: what was wrong, how bad it is, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from altlas_agent.core.records import Fault, Outcome, Program, RunResult, Status, ToolFeedback
from altlas_agent.core.text import safe
from altlas_agent.sandbox.advice.stacks import Failure, javascript_failure, python_failure

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_MESSAGE_CHARS = 300
MAX_NAME_CHARS = 80

SEVERITIES: dict[Fault, float] = {
    Fault.SYNTAX: 1.0, Fault.REFUSED: 1.0,
    Fault.IMPORT: 0.9, Fault.NAME: 0.9, Fault.CRASH: 0.9,
    Fault.TYPE: 0.8, Fault.ATTRIBUTE: 0.8, Fault.RECURSION: 0.8, Fault.MEMORY: 0.8, Fault.OUTPUT: 0.8,
    Fault.TIMEOUT: 0.7, Fault.CPU: 0.7, Fault.OTHER: 0.7,
    Fault.VALUE: 0.6, Fault.INDEX: 0.6, Fault.KEY: 0.6, Fault.ZERO_DIVISION: 0.6, Fault.ASSERTION: 0.6,
    Fault.WRONG_ANSWER: 0.4, Fault.CONSTRAINT: 0.2, Fault.NONE: 0.0, Fault.INFRASTRUCTURE: 0.0,
}  # fmt: skip
"""How far from a right answer a fault is; one of the sandbox says nothing about the program."""

_BY_STATUS = {
    Status.TIMEOUT: Fault.TIMEOUT,
    Status.CPU_LIMIT: Fault.CPU,
    Status.MEMORY_LIMIT: Fault.MEMORY,
    Status.OUTPUT_LIMIT: Fault.OUTPUT,
    Status.SIGNAL: Fault.CRASH,
    Status.REFUSED: Fault.REFUSED,
    Status.INTERNAL: Fault.INFRASTRUCTURE,
}

_NAMES = {
    Fault.SYNTAX: ("SyntaxError", "IndentationError", "TabError"),
    Fault.IMPORT: ("ImportError", "ModuleNotFoundError"),
    Fault.NAME: ("NameError", "UnboundLocalError", "ReferenceError"),
    Fault.TYPE: ("TypeError",),
    Fault.VALUE: (
        "ValueError", "UnicodeError", "UnicodeDecodeError", "UnicodeEncodeError", "OverflowError",
        "JSONDecodeError", "RangeError", "URIError",
    ),
    Fault.INDEX: ("IndexError",),
    Fault.KEY: ("KeyError",),
    Fault.ATTRIBUTE: ("AttributeError",),
    Fault.ZERO_DIVISION: ("ZeroDivisionError",),
    Fault.ASSERTION: ("AssertionError",),
    Fault.RECURSION: ("RecursionError",),
    Fault.MEMORY: ("MemoryError",),
}  # fmt: skip
_BY_NAME = {name: fault for fault, names in _NAMES.items() for name in names}

# node has one name for many faults; how a message starts tells them apart.
_BY_MESSAGE = (
    ("Cannot find module", Fault.IMPORT),
    ("Maximum call stack size exceeded", Fault.RECURSION),
    ("Cannot read properties of", Fault.ATTRIBUTE),
    ("Cannot set properties of", Fault.ATTRIBUTE),
    ("Division by zero", Fault.ZERO_DIVISION),
)

_READERS: dict[str, Callable[[str, str], Failure]] = {
    "python": python_failure,
    "javascript": javascript_failure,
}


def of_run(program: Program, result: RunResult) -> ToolFeedback:
    """What one execution says about its program; nothing is known of right and wrong answers."""
    stderr = result.stderr.decode("utf-8", "replace")
    return _feedback(program.language, program.code, result.status, stderr)


def of_outcome(language: str, code: str, outcome: Outcome) -> ToolFeedback:
    """What a verdict says about its program: the fault that ended it, wrong answers, broken constraints."""
    if outcome.status is not Status.SUCCESS:
        return _feedback(language, code, outcome.status, outcome.stderr)
    if outcome.passed < len(outcome.cases):
        return _plain(Fault.WRONG_ANSWER, f"{outcome.passed} of {len(outcome.cases)} tests passed")
    if outcome.violations:
        return _plain(Fault.CONSTRAINT, "; ".join(outcome.violations))
    return _plain(Fault.NONE, "")


def _feedback(language: str, code: str, status: Status, stderr: str) -> ToolFeedback:
    if status is Status.SUCCESS:
        return _plain(Fault.NONE, "")
    reader = _READERS.get(language)
    if reader is None or status in _BY_STATUS:  # what is killed says nothing about where
        fault = Fault.SYNTAX if status is Status.COMPILE_ERROR else _BY_STATUS.get(status, Fault.OTHER)
        return _plain(fault, _last_line(stderr))
    failure = reader(stderr, code)
    return ToolFeedback(
        fault=(fault := _fault(language, status, failure)),
        severity=SEVERITIES[fault],
        message=_message(failure, stderr),
        line=failure.line,
        column=failure.column,
        function=safe(failure.function, max_chars=MAX_NAME_CHARS, keep_newlines=False),
    )


def _fault(language: str, status: Status, failure: Failure) -> Fault:
    named = next((fault for start, fault in _BY_MESSAGE if failure.message.startswith(start)), None)
    if named is not None and language == "javascript":
        return named
    fault = _BY_NAME.get(failure.name, Fault.OTHER)
    if status is Status.COMPILE_ERROR:  # what ends a compiler is the text, but for its limits
        return fault if fault in (Fault.MEMORY, Fault.RECURSION) else Fault.SYNTAX
    # JavaScript calls it a syntax error when a program hands wrong text to JSON.parse.
    return Fault.VALUE if fault is Fault.SYNTAX and language == "javascript" else fault


def _message(failure: Failure, stderr: str) -> str:
    if failure.name:
        text = f"{failure.name}: {failure.message}" if failure.message else failure.name
    else:
        text = failure.message or _last_line(stderr)
    return safe(text, max_chars=MAX_MESSAGE_CHARS, keep_newlines=False)


def _last_line(stderr: str) -> str:
    return next((line for line in reversed(stderr[-4096:].split("\n")) if line.strip()), "")


def _plain(fault: Fault, message: str) -> ToolFeedback:
    shown = safe(message, max_chars=MAX_MESSAGE_CHARS, keep_newlines=False)
    return ToolFeedback(fault=fault, severity=SEVERITIES[fault], message=shown)
