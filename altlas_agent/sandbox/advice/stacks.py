"""Reads what Python and node write when a program fails; the text may be anything at all.

Only frames of the program itself count: those of harness, library and node are left out.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from altlas_agent.sandbox.advice.python_rules import source_lines

MAX_STDERR_CHARS = 64_000
MAX_LINE_CHARS = 2_000

_PY_FRAME = re.compile(r'  File "program\.py", line (\d{1,7})(?:, in (.{1,200}))?$')
_PY_ERROR = re.compile(r"([A-Za-z_][\w.]{0,200})(?:: (.*))?$")
_PY_HEADER = "Traceback (most recent call last):"
_JS_FRAME = re.compile(r"    at (?:(.{1,300}) \()?/tmp/program\.js:(\d{1,7}):(\d{1,7})\)?$")
_JS_ERROR = re.compile(r"(?:Uncaught )?(\w{0,100}Error)(?: \[\w{1,100}\])?(?:: (.*))?$")
_JS_HEADER = re.compile(r"/tmp/program\.js:(\d{1,7})$")
_CARET = re.compile(r"\s*(\^)[\^~]*\s*$")


class Failure(NamedTuple):
    """What a stack trace says: name and message of the error, and the innermost place in the program.

    Lines and columns count from 1, columns in characters; 0 and "" stand for what is not said.
    """

    name: str = ""
    message: str = ""
    line: int = 0
    column: int = 0
    function: str = ""


def python_failure(stderr: str, code: str) -> Failure:
    """The last error that a traceback tells of."""
    lines = _bounded(stderr)
    headers = [number for number, line in enumerate(lines) if line == _PY_HEADER]
    frames = [number for number, line in enumerate(lines) if _PY_FRAME.match(line)]
    start = headers[-1] + 1 if headers else (frames[0] if frames else 0)
    end = next((n for n in range(start, len(lines)) if lines[n] and lines[n][0] not in " \t"), len(lines))
    said = _PY_ERROR.match(lines[end]) if end < len(lines) else None
    name, message = (said[1].rpartition(".")[2], said[2] or "") if said else ("", "")
    inner = next((n for n in reversed(range(start, end)) if _PY_FRAME.match(lines[n])), None)
    if inner is None:
        return Failure(name, message)
    frame = _PY_FRAME.match(lines[inner])
    line, function = (int(frame[1]), frame[2] or "") if frame else (0, "")
    shown = lines[inner + 1 : min(inner + 3, end)]
    return _placed(Failure(name, message, line, 0, function), source_lines(code), shown)


def _placed(failure: Failure, source: list[str], shown: list[str]) -> Failure:
    """With the column of the caret under the line that is shown, without its indent, for what does not parse."""
    function = "" if failure.function.startswith("<module>") else failure.function
    caret = _CARET.match(shown[1]) if len(shown) == 2 else None
    column = 0
    if caret is not None and 0 < failure.line <= len(source):
        text = source[failure.line - 1]
        column = caret.start(1) - 4 + len(text) - len(text.lstrip(" \f")) + 1
    return _inside(failure._replace(function=function, column=max(0, column)), source)


def javascript_failure(stderr: str, code: str) -> Failure:
    """The last error that node tells of."""
    lines, source = _bounded(stderr), code.split("\n")
    errors = [number for number, line in enumerate(lines) if _JS_ERROR.match(line)]
    heads = [number for number, line in enumerate(lines) if _JS_HEADER.match(line)]
    said = _JS_ERROR.match(lines[errors[-1]]) if errors else None
    failure = Failure(said[1], said[2] or "") if said else Failure()
    for line in lines[errors[-1] :] if errors else []:
        if frame := _JS_FRAME.match(line):
            row = int(frame[2])
            function = "" if not frame[1] or frame[1].startswith("Object.<anonymous>") else frame[1]
            column = _in_characters(source, row, int(frame[3]))
            return _inside(failure._replace(line=row, column=column, function=function), source)
    return _inside(_headed(failure, lines[heads[-1] :], source), source) if heads else failure


def _headed(failure: Failure, lines: list[str], source: list[str]) -> Failure:
    """The place that stands above an error: file and line, the text of the line, a caret under it."""
    head = _JS_HEADER.match(lines[0])
    row = int(head[1]) if head else 0
    caret = _CARET.match(lines[2]) if len(lines) > 2 else None
    column = _in_characters(source, row, caret.start(1) + 1) if caret else 0
    message = failure.message or ("" if failure.name or len(lines) < 4 else lines[3])
    return failure._replace(line=row, column=column, message=message)


def _in_characters(source: list[str], line: int, column: int) -> int:
    """node counts the units of UTF-16."""
    text = source[line - 1] if 0 < line <= len(source) else ""
    units = text.encode("utf-16-le", "surrogatepass")[: 2 * max(0, column - 1)]
    return len(units.decode("utf-16-le", "replace")) + 1


def _inside(failure: Failure, source: list[str]) -> Failure:
    """Harnesses add a line; an error in it is one at the end of the program."""
    if failure.line <= len(source):
        return failure
    return failure._replace(line=len(source), column=len(source[-1]) + 1)


def _bounded(stderr: str) -> list[str]:
    return [line.rstrip("\r")[:MAX_LINE_CHARS] for line in stderr[-MAX_STDERR_CHARS:].split("\n")]
