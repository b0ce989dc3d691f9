"""Says what went wrong in QuickJS as node would: its wording, and its column.

Loaded in the jail beside `scripts`; standard library only. Both engines point at the same line. Where they point
at different places of an expression, the place that node would name is looked for in the source.
"""

from __future__ import annotations

import re
from typing import NamedTuple

MAIN_FILE = "/tmp/program.js"
MAX_FRAMES = 10

_FRAME = re.compile(r"    at (?:(.{1,200}) \()?<input>:(\d{1,7}):(\d{1,7})\)?$")
_HARNESS = ("harnessLoad", "harnessCall")
_NEW = re.compile(r"\bnew\s+$")
_CHAIN = re.compile(r"[\w$.\]\[]*$")
_NAME = re.compile(r"[\w$]*")
_ASSIGNS = re.compile(r"[\w$]*\s*([-+*/%&|^<>?]*=|\+\+|--)")


class Frame(NamedTuple):
    """A place in the program: lines and columns from 1, in characters."""

    function: str
    line: int
    column: int


def frames_of(stack: str) -> list[Frame]:
    """Those of the program: the harness around it starts a line above it, and is left out."""
    found: list[Frame] = []
    for text in stack.split("\n"):
        if match := _FRAME.match(text):
            if match[1] in _HARNESS:
                break
            found.append(Frame(match[1] or "", int(match[2]) - 1, int(match[3])))
    return found[:MAX_FRAMES]


def uncaught(name: str, message: str, stack: str, source: str) -> str:
    """What node writes of an error that nobody caught."""
    lines, frames = source.split("\n"), frames_of(stack)
    if not frames:
        return f"{name}: {message}\n"
    text, column = _told(message, frames[0], lines)
    frames[0] = frames[0]._replace(column=column)
    return f"{_place(frames[0], lines)}{_headed(name, text)}\n{_written(frames)}"


def shown(name: str, message: str, stack: str, source: str) -> str:
    """What node writes of an error in a call, which its harness shows and goes on."""
    lines, frames = source.split("\n"), frames_of(stack)
    if frames:
        message, column = _told(message, frames[0], lines)
        frames[0] = frames[0]._replace(column=column)
    return f"{_headed(name, message)}\n{_written(frames)}"


def misspelt(said: str, source: str) -> str:
    """What node writes of a text that does not compile; `said` is name, message and place of QuickJS's error."""
    head, _, stack = said.partition("\n")
    name, _, message = head.partition(": ")
    lines = source.split("\n")
    frame = next(iter(frames_of(stack)), Frame("", 0, 1))
    if frame.line > len(lines):  # the harness ends what the program did not
        frame, message = Frame("", len(lines), len(lines[-1]) + 1), _spelt(_UNENDED.sub(_NOTHING, message))
    return f"{_place(frame, lines)}{_headed(name, _spelt(message))}\n"


def _headed(name: str, message: str) -> str:
    return f"{name}: {message}" if message else name


def _written(frames: list[Frame]) -> str:
    return "".join(f"    at {_located(frame)}\n" for frame in frames)


def _located(frame: Frame) -> str:
    place = f"{MAIN_FILE}:{frame.line}:{frame.column}"
    return place if frame.function in ("", "<anonymous>") else f"{frame.function} ({place})"


def _place(frame: Frame, lines: list[str]) -> str:
    """File and line, the text of the line, and a caret under it."""
    if not 0 < frame.line <= len(lines):
        return f"{MAIN_FILE}:{frame.line}\n\n\n"
    return f"{MAIN_FILE}:{frame.line}\n{lines[frame.line - 1]}\n{' ' * (frame.column - 1)}^\n\n"


def _told(message: str, frame: Frame, lines: list[str]) -> tuple[str, int]:
    """Message and column."""
    line = lines[frame.line - 1] if 0 < frame.line <= len(lines) else ""
    at = frame.column - 1
    for pattern, text in _WORDINGS:
        if match := pattern.fullmatch(message):
            told = match.expand(text)
            return told.replace("EXPRESSION", _expression(line, at)), _column(match, line, at) + 1
    return message, _start(line, at) + 1


def _column(match: re.Match[str], line: str, at: int) -> int:
    if match.re in (_READ, _SET):
        return _property(match, line, at)
    if match.re is _FIXED:
        found = _ASSIGNS.match(line, at)
        return found.start(1) if found else at
    return _start(line, at)


def _start(line: str, at: int) -> int:
    """Where `new` stands, for what is made by it."""
    found = _NEW.search(line, 0, at)
    return found.start() if found else at


def _property(match: re.Match[str], line: str, at: int) -> int:
    """Where the property stands that something without properties was asked for."""
    name = re.escape(match[1])
    found = re.search(rf"\.\s*({name})(?![\w$])|(\[)", line[at:])
    if not found:
        return at
    return at + (found.start(1) if found[1] else found.start(2))


def _expression(line: str, at: int) -> str:
    """What stands there, such as list.map."""
    name = _NAME.match(line, at)
    before = _CHAIN.search(line, 0, at)
    text = (before[0] if before else "") + (name[0] if name else "")
    return text.strip(".") or "(intermediate value)"


def _spelt(message: str) -> str:
    return next(
        (match.expand(text) for pattern, text in _SPELLINGS if (match := pattern.fullmatch(message))), message
    )


_UNENDED = re.compile(r"unexpected token in expression: '\}'|expecting .*", re.DOTALL)
_NOTHING = "unexpected token in expression: ''"
_READ = re.compile(r"cannot read property '(.*)' of (undefined|null)", re.DOTALL)
_SET = re.compile(r"cannot set property '(.*)' of (undefined|null)", re.DOTALL)
_FIXED = re.compile(r"'(.*)' is read-only", re.DOTALL)

_WORDINGS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.DOTALL) if isinstance(pattern, str) else pattern, text)
    for pattern, text in (
        (r"cannot read property 'Symbol\.iterator' of (undefined|null)", r"\1 is not iterable"),
        (_READ, r"Cannot read properties of \2 (reading '\1')"),
        (_SET, r"Cannot set properties of \2 (setting '\1')"),
        (_FIXED, "Assignment to constant variable."),
        ("not a function", "EXPRESSION is not a function"),
        ("not a constructor", "EXPRESSION is not a constructor"),
        ("value is not iterable", "EXPRESSION is not iterable"),
        ("(.+) is not initialized", r"Cannot access '\1' before initialization"),
        ("empty array", "Reduce of empty array with no initial value"),
        ("invalid repeat count", "Invalid count value"),
        ("invalid array length", "Invalid array length"),
        ("invalid string length", "Invalid string length"),
        ("invalid number of digits", "toFixed() digits argument must be between 0 and 100"),
        ("BigInt division by zero", "Division by zero"),
        ("cannot convert BigInt to number", "Cannot mix BigInt and other types, use explicit conversions"),
        ("cannot convert symbol to string", "Cannot convert a Symbol value to a string"),
        ("invalid 'in' operand", "Cannot use 'in' operator"),
        ("invalid 'instanceof' right operand", "Right-hand side of 'instanceof' is not callable"),
        (
            "class constructors must be invoked with 'new'",
            "Class constructor cannot be invoked without 'new'",
        ),
        ("object is not extensible", "Cannot add property, object is not extensible"),
        ("expecting hex digit", "URI malformed"),
    )
)
"""From QuickJS's words to those of V8; EXPRESSION stands for the source text at the place of the error."""

_SPELLINGS = tuple(
    (re.compile(pattern, re.DOTALL), text)
    for pattern, text in (
        ("unexpected token in expression: ''", "Unexpected end of input"),
        ("unexpected token in expression: '(.*)'", r"Unexpected token '\1'"),
        (r"expecting '\)'", "missing ) after argument list"),
        ("expecting '(.*)'", r"Unexpected token, expected '\1'"),
        ("invalid redefinition of (?:lexical|global) identifier", "Identifier has already been declared"),
        ("unexpected end of string", "Invalid or unexpected token"),
        ("return not in a function", "Illegal return statement"),
    )
)
