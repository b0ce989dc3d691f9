"""Says what went wrong in QuickJS as node would: its wording, and the place that it points at.

Loaded in the jail beside `scripts`; standard library only. Where the engines point at different parts of one
expression, the part that node would name is looked for in the source. Of some errors QuickJS does not know where
they are: nothing is said of those, and node has to.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

MAIN_FILE = "/tmp/program.js"
MAX_FRAMES = 10
OUR_LINES = 300_000
"""How many lines the prelude begins below: no program is as long, so frames tell whose they are."""

_FRAME = re.compile(r"    at (?:(.{1,200}) \()?<input>:(\d{1,7}):(\d{1,7})\)?$")
_NEW_ERROR = re.compile(r"\bnew\s+\w*Error\b")
_NEW = re.compile(r"\bnew\s+$")
_CHAIN = re.compile(r"[\w$.\]\[]*$")
_NAME = re.compile(r"[\w$]*")
_ASSIGNS = re.compile(r"(?<![=!<>])=(?![=>])|[-+*/%&|^?]+=|\+\+|--")
_OPERATOR = re.compile(r"([-+*/%<>&|^]+|\bin|\binstanceof)\s*$")
_MAX_REACH = 2_000


class Frame(NamedTuple):
    """A place in the program: lines and columns from 1, in characters."""

    function: str
    line: int
    column: int


def frames_of(stack: str) -> list[Frame]:
    """Those of the program, which the harness starts one line late."""
    found: list[Frame] = []
    for text in stack.split("\n"):
        match = _FRAME.match(text)
        if match and int(match[2]) < OUR_LINES:
            found.append(Frame(match[1] or "", int(match[2]) - 1, int(match[3])))
    return found[:MAX_FRAMES]


def uncaught(name: str, message: str, stack: str, source: str) -> str:
    """What node writes of an error that nobody caught; "" where only node knows its place."""
    text, frames = _told(name, message, stack, source)
    if not frames:
        return ""
    return _place(frames[0], source.split("\n")) + _headed(name, text) + f"\n{_written(frames)}"


def shown(name: str, message: str, stack: str, source: str) -> str:
    """What node writes of an error in a call, which its harness shows; "" where only node knows its place."""
    text, frames = _told(name, message, stack, source)
    return f"{_headed(name, text)}\n{_written(frames)}" if frames else ""


def misspelt(said: str, source: str) -> str:
    """What node writes of a text that does not compile; `said` is name, message and place of QuickJS's error."""
    head, _, stack = said.partition("\n")
    name, _, message = head.partition(": ")
    lines = source.split("\n")
    frame = next(iter(frames_of(stack)), Frame("", 0, 1))
    if frame.line > len(lines):  # the harness ends what the program did not
        frame = Frame("", len(lines), len(lines[-1]) + 1)
        message = _UNENDED.sub("unexpected token in expression: ''", message)
    spelt = (match.expand(text) for pattern, text in _SPELLINGS if (match := pattern.fullmatch(message)))
    return f"{_place(frame, lines)}{_headed(name, next(spelt, message))}\n"


def _headed(name: str, message: str) -> str:
    return f"{name}: {message}" if message else name


def _written(frames: list[Frame]) -> str:
    return "".join(f"    at {_located(frame)}\n" for frame in frames)


def _located(frame: Frame) -> str:
    place = f"{MAIN_FILE}:{frame.line}:{frame.column}"
    return place if frame.function in ("", "<anonymous>") else f"{frame.function} ({place})"


def _place(frame: Frame, lines: list[str]) -> str:
    """File and line, the text of the line, and a caret under it."""
    line = lines[frame.line - 1] if 0 < frame.line <= len(lines) else ""
    return f"{MAIN_FILE}:{frame.line}\n{line}\n{' ' * (frame.column - 1)}^\n\n"


def _told(name: str, message: str, stack: str, source: str) -> tuple[str, list[Frame]]:
    """The message in node's words, and frames of which the first is where node points at; none when unknown."""
    frames = frames_of(stack)
    if not frames or frames[0].line < 1 or name == "SyntaxError" or _UNPLACED.match(message):
        return message, []
    at = _offset(source, frames[0])
    for pattern, text, place in _WORDINGS:
        if match := pattern.fullmatch(message):
            message = match.expand(text).replace("EXPRESSION", _expression(source, at))
            at = place(match, source, at)
            break
    frames[0] = Frame(frames[0].function, source.count("\n", 0, at) + 1, at - source.rfind("\n", 0, at))
    return message, frames


def _offset(source: str, frame: Frame) -> int:
    start = 0
    for _ in range(frame.line - 1):
        start = source.find("\n", start) + 1
    return min(start + frame.column - 1, len(source))


def _expression(source: str, at: int) -> str:
    """What stands there, such as list.map."""
    before = _CHAIN.search(source, max(0, at - _MAX_REACH), at)
    name = _NAME.match(source, at)
    text = (before[0] if before else "") + (name[0] if name else "")
    return text.strip(".") or "(intermediate value)"


def _start(_: re.Match[str], source: str, at: int) -> int:
    """Where `new` stands, for what is made by it."""
    found = _NEW.search(source, max(0, at - _MAX_REACH), at)
    return found.start() if found else at


def _thrown(match: re.Match[str], source: str, at: int) -> int:
    """Where an error of the program's own is made: QuickJS may point into what it is made of."""
    found = list(_NEW_ERROR.finditer(source, source.rfind("\n", 0, at) + 1, at))
    return found[-1].start() if found else _start(match, source, at)


def _read(match: re.Match[str], source: str, at: int) -> int:
    """Where the property stands that something without properties was asked for; behind a call, its dot."""
    name = re.escape(match[1])
    found = re.compile(rf"\.\s*({name})(?![\w$])|(\[)").finditer(source, at, at + _MAX_REACH)
    places = list(found)
    named = next((each for each in places if each[1]), None)
    if named is None:
        return next((each.start() for each in places), at)
    return named.start() if ")" in source[at : named.start()] else named.start(1)


def _assigned(_: re.Match[str], source: str, at: int) -> int:
    """Where the sign stands that gives something a value."""
    found = _ASSIGNS.search(source, at, at + _MAX_REACH)
    return found.start() if found else at


def _undefined(match: re.Match[str], source: str, at: int) -> int:
    """A name that a strict program gives a value without having declared it."""
    given = re.compile(rf"{re.escape(match[1])}\s*(=)(?![=>])").match(source, at)
    return given.start(1) if given else at


def _operator(_: re.Match[str], source: str, at: int) -> int:
    """Where the sign stands that could not join its two sides."""
    found = _OPERATOR.search(source, max(0, at - _MAX_REACH), at)
    return found.start(1) if found else at


_UNENDED = re.compile(r"unexpected token in expression: '\}'|expecting .*", re.DOTALL)
_UNPLACED = re.compile(
    r"value is not iterable|cannot read property 'Symbol|Cannot convert undefined or null to object|class constructors"
)
"""QuickJS does not know where these are, only what came before them."""

_Place = Callable[[re.Match[str], str, int], int]

_WORDINGS: tuple[tuple[re.Pattern[str], str, _Place], ...] = tuple(
    (re.compile(pattern, re.DOTALL), text, place)
    for pattern, text, place in (
        (
            r"cannot read property '(.*)' of (undefined|null)",
            r"Cannot read properties of \2 (reading '\1')",
            _read,
        ),
        (
            r"cannot set property '(.*)' of (undefined|null)",
            r"Cannot set properties of \2 (setting '\1')",
            _assigned,
        ),
        (r"'.*' is read-only", "Assignment to constant variable.", _assigned),
        ("(.+) is not defined", r"\1 is not defined", _undefined),
        ("(.+) is not initialized", r"Cannot access '\1' before initialization", _start),
        ("not a function", "EXPRESSION is not a function", _start),
        ("not a constructor", "EXPRESSION is not a constructor", _start),
        ("empty array", "Reduce of empty array with no initial value", _start),
        ("invalid repeat count", "Invalid count value", _start),
        ("invalid array length", "Invalid array length", _start),
        ("invalid string length", "Invalid string length", _start),
        ("invalid number of digits", "toFixed() digits argument must be between 0 and 100", _start),
        ("BigInt division by zero", "Division by zero", _operator),
        (
            "cannot convert BigInt to number",
            "Cannot mix BigInt and other types, use explicit conversions",
            _operator,
        ),
        ("cannot convert symbol to string", "Cannot convert a Symbol value to a string", _operator),
        ("invalid 'in' operand", "Cannot use 'in' operator", _operator),
        ("invalid 'instanceof' right operand", "Right-hand side of 'instanceof' is not callable", _operator),
        ("object is not extensible", "Cannot add property, object is not extensible", _start),
        ("expecting hex digit", "URI malformed", _start),
        (".*", r"\g<0>", _thrown),
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
