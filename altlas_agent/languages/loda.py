"""LODA assembly: frozen programs, their parser and printer, structure and normal form.

Standard library only, as all that computes terms: it goes into the jail as it is.
"""

from __future__ import annotations

import enum
import re
from typing import NamedTuple

from altlas_agent.core.errors import LanguageError
from altlas_agent.languages.base import MAX_CODE_CHARS, MAX_NUMBER, Structure

ARITHMETIC = frozenset(
    (
        "mov", "add", "sub", "trn", "mul", "div", "dif", "dir", "mod", "pow", "gcd", "lex", "bin", "fac",
        "log", "nrt", "dgs", "dgr", "equ", "neq", "leq", "geq", "min", "max", "ban", "bor", "bxo",
    )
)  # fmt: skip
REGIONS = frozenset({"clr", "fil", "rol", "ror"})
CALLS = frozenset({"seq", "prg"})
OPERATIONS = ARITHMETIC | REGIONS | CALLS | {"lpb", "lpe"}
MAX_OPERATIONS = 10_000
MAX_NESTING = 100
MAX_DIGITS = 4_000  # below the length at which Python itself refuses to convert
MAX_INDEX_DIGITS = 18
MAX_PORTS = 1_000

_BLANK = " \t\r\f\v"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OPERAND = re.compile(r"(\$?\$?)(-?)([0-9]+)")
_DIRECTIVE = re.compile(r"#([A-Za-z]+)[ \t]+(-?[0-9]{1,18})")


class Mode(enum.StrEnum):
    """What the number of an operand means; the values are the marks in the source text."""

    CONSTANT = ""
    DIRECT = "$"
    INDIRECT = "$$"


class Operand(NamedTuple):
    """A constant, the cell with that number, or the cell whose number stands in that cell."""

    mode: Mode
    value: int

    def __str__(self) -> str:
        return f"{self.mode.value}{self.value}"


class Operation(NamedTuple):
    """One step; lpe alone has no operands, and lpb always has its region's length as the source."""

    name: str
    target: Operand | None = None
    source: Operand | None = None

    def __str__(self) -> str:
        if self.target is None:
            return self.name
        is_plain_loop = self.name == "lpb" and self.source == ONE
        return f"{self.name} {self.target}" if is_plain_loop else f"{self.name} {self.target},{self.source}"


class Comment(NamedTuple):
    """A comment before operation number `before`, or at the end of the line of the one before that."""

    before: int
    text: str
    is_trailing: bool = False


class Program(NamedTuple):
    """A parsed program: loops are balanced, targets are cells, numbers are small enough to print."""

    operations: tuple[Operation, ...]
    offset: int = 0
    inputs: int | None = None
    outputs: int | None = None
    comments: tuple[Comment, ...] = ()


class LodaSyntaxError(LanguageError):
    """Raised for text that is not a program; `line` counts from 1.

    `kind` is parse, constant_target (a constant cannot be written) or stack (loops too deep).
    """

    def __init__(self, line: int, problem: str, kind: str = "parse") -> None:
        super().__init__(f"line {line}: {problem}")
        self.line = line
        self.kind = kind


ONE = Operand(mode=Mode.CONSTANT, value=1)


def parse(code: str) -> Program:
    """Raises LodaSyntaxError, and nothing else, when `code` is no program."""
    if len(code) > MAX_CODE_CHARS:
        raise LodaSyntaxError(1, f"the text is longer than {MAX_CODE_CHARS} characters")
    parser = _Parser()
    for number, line in enumerate(code.split("\n"), start=1):
        parser.read(number, line)
    return parser.finish()


def print_program(program: Program, *, comments: bool = False) -> str:
    """Canonical text: one operation a line, loops indented, directives first."""
    shown = program.comments if comments else ()
    header = [f"; {comment.text}".rstrip() for comment in shown if comment.before == 0]
    names = ("offset", program.offset or None), ("inputs", program.inputs), ("outputs", program.outputs)
    directives = [f"#{name} {value}" for name, value in names if value is not None]
    parts = [header, directives, _body(program, [comment for comment in shown if comment.before])]
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n" if any(parts) else ""


class Loda:
    """LODA assembly text."""

    name = "loda"

    def structure(self, code: str) -> Structure | None:
        """Operators are the names of operations; constructs are loop and call:A000045 (or call:P000001)."""
        program = _parsed(code)
        if program is None:
            return None
        operations = program.operations
        operands = [operand for op in operations for operand in (op.target, op.source) if operand is not None]
        constants = [operand.value for operand in operands if operand.mode is Mode.CONSTANT]
        return Structure(
            operators=frozenset(op.name for op in operations if op.name not in ("lpb", "lpe")),
            numbers=frozenset(float(value) for value in constants if abs(value) <= MAX_NUMBER),
            constructs=frozenset({"loop"} if any(op.name == "lpb" for op in operations) else ())
            | _calls(operations),
        )

    def normal_form(self, code: str) -> str | None:
        program = _parsed(code)
        return None if program is None else print_program(program)


def program_name(call: str, number: int) -> str:
    """The id that `seq` or `prg` means by a number, for example A000045 or P000001."""
    return f"{'A' if call == 'seq' else 'P'}{number:06d}"


class _Parser:
    """Reads line after line; finish() gives the program."""

    def __init__(self) -> None:
        self._operations: list[Operation] = []
        self._comments: list[Comment] = []
        self._directives: dict[str, int] = {}
        self._open_loops: list[int] = []

    def read(self, number: int, line: str) -> None:
        code, mark, comment = line.partition(";")
        code = code.strip(_BLANK)
        had = len(self._operations)
        if code.startswith("#"):
            self._read_directive(number, code)
        elif code and code.lower() != "nop":
            self._add(number, _operation(number, code))
        if mark:
            now = len(self._operations)
            self._comments.append(Comment(before=now, text=comment.strip(), is_trailing=now > had))

    def finish(self) -> Program:
        if self._open_loops:
            raise LodaSyntaxError(self._open_loops[-1], "this lpb has no lpe")
        return Program(
            operations=tuple(self._operations),
            offset=self._directives.get("offset", 0),
            inputs=self._directives.get("inputs"),
            outputs=self._directives.get("outputs"),
            comments=tuple(self._comments),
        )

    def _add(self, number: int, operation: Operation) -> None:
        if len(self._operations) >= MAX_OPERATIONS:
            raise LodaSyntaxError(number, f"more than {MAX_OPERATIONS} operations")
        if operation.name == "lpb":
            self._open_loops.append(number)
            if len(self._open_loops) > MAX_NESTING:
                raise LodaSyntaxError(number, f"more than {MAX_NESTING} loops inside each other", "stack")
        elif operation.name == "lpe":
            if not self._open_loops:
                raise LodaSyntaxError(number, "lpe without an lpb")
            self._open_loops.pop()
        self._operations.append(operation)

    def _read_directive(self, number: int, code: str) -> None:
        found = _DIRECTIVE.fullmatch(code)
        name = found[1].lower() if found else ""
        if found is None or name not in ("offset", "inputs", "outputs"):
            raise LodaSyntaxError(
                number, f"{_shown(code)} is not #offset, #inputs or #outputs with an integer"
            )
        if name in self._directives:
            raise LodaSyntaxError(number, f"#{name} is given twice")
        value = int(found[2])
        if name != "offset" and not 0 <= value <= MAX_PORTS:
            raise LodaSyntaxError(number, f"#{name} must be from 0 to {MAX_PORTS}")
        self._directives[name] = value


def _operation(number: int, code: str) -> Operation:
    found = _NAME.match(code)
    name = found[0].lower() if found else ""
    if found is None or name not in OPERATIONS:
        raise LodaSyntaxError(number, f"there is no operation {_shown(name or code)}")
    rest = code[found.end() :].strip(_BLANK)
    words = [word.strip(_BLANK) for word in rest.split(",")] if rest else []
    if name == "lpe" and not words:
        return Operation(name=name)
    if name == "lpb" and len(words) == 1:
        words.append("1")
    if name == "lpe" or len(words) != 2:
        needed = {"lpe": "no operands", "lpb": "a target and perhaps a length"}.get(name, "target,source")
        raise LodaSyntaxError(number, f"{name} takes {needed}, not {_shown(rest)}")
    target, source = (_operand(number, word) for word in words)
    if target.mode is Mode.CONSTANT:
        raise LodaSyntaxError(
            number, f"the target of {name} must be a cell, not {_shown(words[0])}", "constant_target"
        )
    return Operation(name=name, target=target, source=source)


def _operand(number: int, word: str) -> Operand:
    found = _OPERAND.fullmatch(word)
    if found is None:
        raise LodaSyntaxError(number, f"{_shown(word)} is not a constant, $cell or $$cell")
    mode, sign, digits = Mode(found[1]), found[2], found[3]
    if mode is not Mode.CONSTANT and sign:
        raise LodaSyntaxError(number, f"{_shown(word)} is a cell with a negative number")
    if len(digits) > (MAX_DIGITS if mode is Mode.CONSTANT else MAX_INDEX_DIGITS):
        raise LodaSyntaxError(number, f"{_shown(word)} has too many digits")
    return Operand(mode=mode, value=int(sign + digits))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:40] + "...")


def _parsed(code: str) -> Program | None:
    try:
        return parse(code)
    except LodaSyntaxError:
        return None


def _calls(operations: tuple[Operation, ...]) -> frozenset[str]:
    sources = [(op.name, op.source) for op in operations if op.name in CALLS and op.source is not None]
    constant = [(name, source.value) for name, source in sources if source.mode is Mode.CONSTANT]
    return frozenset(f"call:{program_name(name, value)}" for name, value in constant if value >= 0)


def _body(program: Program, comments: list[Comment]) -> list[str]:
    trailing = {comment.before: comment.text for comment in comments if comment.is_trailing}
    alone: dict[int, list[str]] = {}
    for comment in comments:
        if not comment.is_trailing:
            alone.setdefault(comment.before, []).append(comment.text)
    lines: list[str] = []
    depth = 0
    for number, operation in enumerate(program.operations, start=1):
        depth -= operation.name == "lpe"
        end = f" ; {trailing[number]}".rstrip() if number in trailing else ""
        lines.append("  " * depth + str(operation) + end)
        depth += operation.name == "lpb"
        lines += [f"{'  ' * depth}; {text}".rstrip() for text in alone.get(number, ())]
    return lines
