"""Static advice about Python programs, from their syntax trees."""

from __future__ import annotations

import ast
import re
from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING

from altlas_agent.core.records import Finding, Severity
from altlas_agent.sandbox.advice.capabilities import capabilities

if TYPE_CHECKING:
    from collections.abc import Iterator

    from altlas_agent.sandbox.advice.capabilities import Capabilities

MAX_NODES = 50_000
HUGE_EXPONENT = 100_000

_INTERNALS = frozenset(
    {
        "__subclasses__", "__globals__", "__builtins__", "__code__", "__closure__", "__mro__", "__base__",
        "__bases__", "__loader__", "__getattribute__", "__reduce__", "__reduce_ex__", "f_back", "f_globals",
        "f_locals", "f_builtins", "gi_frame", "cr_frame", "ag_frame", "tb_frame", "tb_next",
    }
)  # fmt: skip
_LEAVING = (ast.Break, ast.Return, ast.Raise, ast.Yield, ast.YieldFrom)
_Place = tuple[int, int]


def python_findings(tree: ast.Module, code: str) -> Iterator[Finding]:
    """What the tree shows, in the order of the walk; at most the first `MAX_NODES` nodes are looked at."""
    nodes = list(islice(ast.walk(tree), MAX_NODES))
    rules = _Rules(capabilities("python"), source_lines(code), nodes)
    for node in nodes:
        yield from rules.look_at(node)


def source_lines(code: str) -> list[str]:
    """The lines as Python counts them."""
    return re.split(r"\r\n|\r|\n", code)


def character_column(line: str, offset: int) -> int:
    """The column, from 1, of what lies `offset` bytes into a line of UTF-8."""
    return len(line.encode()[: max(0, offset)].decode("utf-8", "replace")) + 1


class _Rules:
    def __init__(self, known: Capabilities, lines: list[str], nodes: list[ast.AST]) -> None:
        self._known = known
        self._lines = lines
        self._exits = sorted(_start(node) for node in nodes if isinstance(node, _LEAVING))

    def look_at(self, node: ast.AST) -> Iterator[Finding]:
        match node:
            case ast.Import() | ast.ImportFrom():
                yield from self._imports(node)
            case ast.Call():
                yield from self._called(node)
            case ast.Attribute(attr=name) if name in _INTERNALS:
                yield self._finding("internals", Severity.HIGH, node, f"{name} leads into the interpreter")
            case ast.While() if self._never_ends(node):
                yield self._finding("endless-loop", Severity.MEDIUM, node, "nothing leaves this loop")
            case ast.ExceptHandler() if _catches_all(node):
                yield self._finding("catch-all", Severity.LOW, node, "this also catches the end of a program")
            case ast.BinOp(op=ast.Pow() | ast.LShift()) if _is_huge(node.right):
                yield self._finding("huge-number", Severity.MEDIUM, node, "the result may fill the memory")
            case _:
                pass

    def _imports(self, node: ast.Import | ast.ImportFrom) -> Iterator[Finding]:
        named = (
            [node.module or ""] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names]
        )
        for name in named:
            yield from self._module(name, node)

    def _module(self, name: str, node: ast.AST) -> Iterator[Finding]:
        found = self._known.of_module(name.partition(".")[0], *self._place(node))
        if found is not None:
            yield found

    def _called(self, node: ast.Call) -> Iterator[Finding]:
        name = _dotted(node.func)
        found = self._known.of_call(name, *self._place(node))
        if found is not None:
            yield found
        if name in ("__import__", "importlib.import_module") and node.args:
            match node.args[0]:
                case ast.Constant(value=str(module)):
                    yield from self._module(module, node)
                case _:
                    pass

    def _never_ends(self, node: ast.While) -> bool:
        match node.test:
            case ast.Constant(value=value) if value:
                end = (node.end_lineno or node.lineno, node.end_col_offset or 0)
                place = bisect_left(self._exits, _start(node))
                return place == len(self._exits) or self._exits[place] >= end
            case _:
                return False

    def _place(self, node: ast.AST) -> _Place:
        line, offset = _start(node)
        text = self._lines[line - 1] if 0 < line <= len(self._lines) else ""
        return line, character_column(text, offset)

    def _finding(self, rule: str, severity: Severity, node: ast.AST, message: str) -> Finding:
        line, column = self._place(node)
        return Finding(rule=rule, severity=severity, line=line, column=column, message=message)


def _start(node: ast.AST) -> _Place:
    line, offset = getattr(node, "lineno", 1), getattr(node, "col_offset", 0)
    return int(line), int(offset)


def _dotted(node: ast.expr) -> str:
    """`a.b.c` as text, "" for anything else than names."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute) and len(parts) < 4:
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _catches_all(handler: ast.ExceptHandler) -> bool:
    caught = handler.type
    return caught is None or (isinstance(caught, ast.Name) and caught.id == "BaseException")


def _is_huge(exponent: ast.expr) -> bool:
    match exponent:
        case ast.Constant(value=int(value)):
            return value > HUGE_EXPONENT
        case ast.BinOp(op=ast.Pow() | ast.LShift() | ast.Mult(), left=ast.Constant(), right=ast.Constant()):
            return True
        case ast.BinOp(op=ast.Pow() | ast.LShift()):
            return _is_huge(exponent.right)
        case _:
            return False
