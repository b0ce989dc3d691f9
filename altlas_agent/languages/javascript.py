"""JavaScript: structure and normal form through tree-sitter, without starting an engine."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING

import tree_sitter_javascript
from tree_sitter import Language as Grammar
from tree_sitter import Node, Parser

from altlas_agent.languages.base import MAX_CODE_CHARS, Structure

if TYPE_CHECKING:
    from collections.abc import Iterator

_OPERATORS = {"===": "==", "==": "==", "!==": "!=", "!=": "!=", "&&": "and", "||": "or", "!": "not"}

_CONSTRUCTS = {
    "for_statement": "loop", "for_in_statement": "loop", "while_statement": "loop", "do_statement": "loop",
    "if_statement": "condition", "ternary_expression": "condition", "switch_statement": "condition",
    "function_declaration": "function",
    "return_statement": "return", "lexical_declaration": "assignment", "variable_declaration": "assignment",
    "assignment_expression": "assignment", "augmented_assignment_expression": "assignment",
    "array": "list", "import_statement": "import",
}  # fmt: skip

# What a comprehension is in Python.
_LOOPING_CALLS = frozenset({"map", "filter", "forEach"})
# Where a program gives a name: the kind of node, and the field that holds the name.
_BINDERS = {
    "variable_declarator": "name",
    "arrow_function": "parameter",
    "function_declaration": "name",
    "for_in_statement": "left",
}


class JavaScript:
    """JavaScript source text."""

    name = "javascript"

    def structure(self, code: str) -> Structure | None:
        root = parse(code)
        if root is None:
            return None
        nodes = list(_walk(root))
        return Structure(
            operators=frozenset(name for node in nodes if (name := _operator(node)) is not None),
            numbers=frozenset(_numbers(nodes)),
            strings=frozenset(_string(node) for node in nodes if node.type == "string"),
            constructs=frozenset(_constructs(nodes)),
        )

    def normal_form(self, code: str) -> str | None:
        root = parse(code)
        if root is None:
            return None
        nodes = list(_walk(root))
        leaves = [node for node in nodes if not node.child_count and node.type != "comment"]
        bound = {name for node in nodes for name in _given(node)}
        numbers: dict[str, str] = {}
        words: list[str] = []
        for node in leaves:
            text = text_of(node)
            if text in bound and node.type in ("identifier", "shorthand_property_identifier"):
                text = numbers.setdefault(text, f"${len(numbers)}")
            if text != ";":
                words.append(text)
        return "\x00".join(words)


@cache
def _parser() -> Parser:
    return Parser(Grammar(tree_sitter_javascript.language()))


def parse(code: str) -> Node | None:
    """The root of the tree; None when `code` is not JavaScript, or too long."""
    if len(code) > MAX_CODE_CHARS:
        return None
    try:
        root = _parser().parse(code.encode()).root_node
    except UnicodeEncodeError:
        return None
    return None if root.has_error else root


def _walk(root: Node) -> Iterator[Node]:
    """Every node in the order of the text."""
    open_nodes = [root]
    while open_nodes:
        node = open_nodes.pop()
        yield node
        open_nodes.extend(reversed(node.children))


def text_of(node: Node) -> str:
    """The source text of a node."""
    return (node.text or b"").decode("utf-8", "replace")


def _operator(node: Node) -> str | None:
    if node.type not in ("binary_expression", "unary_expression", "augmented_assignment_expression"):
        return None
    sign = node.child_by_field_name("operator")
    text = text_of(sign) if sign else ""
    if node.type.startswith("augmented"):
        text = text.removesuffix("=")
    return _OPERATORS.get(text, text) or None


def _numbers(nodes: list[Node]) -> Iterator[float]:
    for node in nodes:
        if node.type == "number":
            yield number_of(text_of(node))
        elif node.type == "unary_expression" and _operator(node) == "-":
            operand = node.child_by_field_name("argument")
            if operand is not None and operand.type == "number":
                yield -number_of(text_of(operand))


def number_of(text: str) -> float:
    """The value of a literal; NaN for what is none."""
    plain = text.replace("_", "").removesuffix("n")
    try:
        return float(int(plain, 0)) if plain[:2].lower() in ("0x", "0o", "0b") else float(plain)
    except ValueError:
        return float("nan")


def _string(node: Node) -> str:
    """The value of a literal; one with escapes that JSON does not know keeps its source text."""
    text = text_of(node)
    body = text[1:-1]
    if "\\" not in body:
        return body
    if text[0] == "'":
        body = body.replace("\\'", "'").replace('"', '\\"')
    try:
        return str(json.loads(f'"{body}"'))
    except ValueError:
        return body


def _constructs(nodes: list[Node]) -> Iterator[str]:
    for node in nodes:
        if node.type in _CONSTRUCTS:
            yield _CONSTRUCTS[node.type]
        if node.type == "call_expression" and (called := node.child_by_field_name("function")) is not None:
            target = called.child_by_field_name("property") or called
            name = text_of(target) if not target.child_count else ""
            yield f"call:{name}"
            if name in _LOOPING_CALLS:
                yield "loop"


def _given(node: Node) -> Iterator[str]:
    """The names that the program gives at this node. Looks downwards only: the way up is long in deep trees."""
    if node.type == "formal_parameters":
        yield from (text_of(child) for child in node.children if child.type == "identifier")
    elif node.type in _BINDERS:
        name = node.child_by_field_name(_BINDERS[node.type])
        if name is not None and name.type == "identifier":
            yield text_of(name)


def first_error(code: str) -> int | None:
    """How many characters stand before the first place that is no JavaScript; None when there is none.

    0 for a text that is too long, or that cannot be encoded.
    """
    if len(code) > MAX_CODE_CHARS:
        return 0
    try:
        source = code.encode()
    except UnicodeEncodeError:
        return 0
    root = _parser().parse(source).root_node
    if not root.has_error:
        return None
    broken = (node.start_byte for node in _walk(root) if node.is_error or node.is_missing)
    return len(source[: min(broken, default=0)].decode("utf-8", "replace"))
