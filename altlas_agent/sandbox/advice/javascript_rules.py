"""Static advice about JavaScript programs, from their syntax trees."""

from __future__ import annotations

from bisect import bisect_left
from itertools import islice
from typing import TYPE_CHECKING

from altlas_agent.core.records import Finding, Severity
from altlas_agent.sandbox.advice.capabilities import capabilities
from altlas_agent.sandbox.advice.python_rules import MAX_NODES, character_column

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

    from altlas_agent.sandbox.advice.capabilities import Capabilities

_MAX_NAME_BYTES = 80
_LEAVING = frozenset({"break_statement", "return_statement", "throw_statement", "yield_expression"})
_LOOPS = frozenset({"while_statement", "do_statement", "for_statement"})
_ALWAYS = frozenset({"true", "1", "(true)", "(1)"})


def javascript_findings(root: Node, code: str) -> Iterator[Finding]:
    """What the tree shows, in the order of the text; at most the first `MAX_NODES` nodes are looked at."""
    nodes = list(islice(_walk(root), MAX_NODES))
    rules = _Rules(capabilities("javascript"), code.split("\n"), nodes)
    for node in nodes:
        yield from rules.look_at(node)


def _walk(root: Node) -> Iterator[Node]:
    open_nodes = [root]
    while open_nodes:
        node = open_nodes.pop()
        yield node
        open_nodes.extend(reversed(node.children))


class _Rules:
    def __init__(self, known: Capabilities, lines: list[str], nodes: list[Node]) -> None:
        self._known = known
        self._lines = lines
        self._exits = sorted(node.start_byte for node in nodes if node.type in _LEAVING)

    def look_at(self, node: Node) -> Iterator[Finding]:
        match node.type:
            case "call_expression" | "new_expression":
                yield from self._called(node)
            case "import_statement":
                yield from self._module(node.child_by_field_name("source"), node)
            case "member_expression":
                yield from self._reached(node)
            case kind if kind in _LOOPS and self._never_ends(node):
                yield self._finding("endless-loop", Severity.MEDIUM, node, "nothing leaves this loop")
            case _:
                pass

    def _called(self, node: Node) -> Iterator[Finding]:
        called = node.child_by_field_name("function") or node.child_by_field_name("constructor")
        name = _text(called)
        found = self._known.of_call(name, *self._place(node))
        if found is not None:
            yield found
        arguments = node.child_by_field_name("arguments")
        if name in ("require", "import") and arguments is not None and arguments.named_child_count:
            yield from self._module(arguments.named_children[0], node)

    def _module(self, named: Node | None, node: Node) -> Iterator[Finding]:
        name = _text(named).strip("\"'`").removeprefix("node:").partition("/")[0]
        found = self._known.of_module(name, *self._place(node))
        if found is not None:
            yield found

    def _reached(self, node: Node) -> Iterator[Finding]:
        name = _text(node.child_by_field_name("property"))
        below = node.child_by_field_name("object")
        if name == "__proto__":
            yield self._finding("internals", Severity.MEDIUM, node, "__proto__ changes what objects share")
        if name == "constructor" and below is not None and _text(below).endswith(".constructor"):
            yield self._finding("internals", Severity.HIGH, node, "this leads to the maker of functions")

    def _never_ends(self, node: Node) -> bool:
        condition = node.child_by_field_name("condition")
        if node.type == "for_statement":
            endless = condition is None or _text(condition).strip("; ") in ("", *_ALWAYS)
        else:
            endless = _text(condition) in _ALWAYS
        place = bisect_left(self._exits, node.start_byte)
        return endless and (place == len(self._exits) or self._exits[place] >= node.end_byte)

    def _place(self, node: Node) -> tuple[int, int]:
        row, offset = node.start_point
        text = self._lines[row] if row < len(self._lines) else ""
        return row + 1, character_column(text, offset)

    def _finding(self, rule: str, severity: Severity, node: Node, message: str) -> Finding:
        line, column = self._place(node)
        return Finding(rule=rule, severity=severity, line=line, column=column, message=message)


def _text(node: Node | None) -> str:
    """The text of a short node, "" for a long one or none."""
    if node is None or node.end_byte - node.start_byte > _MAX_NAME_BYTES:
        return ""
    return (node.text or b"").decode("utf-8", "replace")
