"""JavaScript source text to pieces, through tree-sitter."""

from __future__ import annotations

import re
from collections import Counter
from functools import reduce
from typing import TYPE_CHECKING

from altlas_agent.languages.encode.pieces import Piece, Place
from altlas_agent.languages.javascript import number_of, parse, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tree_sitter import Node

_LAYOUT = frozenset("(){}[],;.:") | {"=>", "=", "let", "const", "function", "return", "if", "for"}
_IDLE = frozenset({"comment", "empty_statement"})
_SIGNS = {"==": "===", "!=": "!=="}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "v": "\v", "0": "\0", "\n": ""}
_CODE_POINT = re.compile(r"\\(?:x|u\{?)([0-9a-fA-F]+)\}?")


def read(code: str, depth: int) -> Piece | None:
    """The program as a block, down to `depth`; None when `code` is not JavaScript."""
    root = parse(code)
    return None if root is None else _Reader(root, depth).block(root, 0)


class _Reader:
    """Makes pieces of the nodes of one program."""

    def __init__(self, root: Node, deepest: int) -> None:
        self._deepest = deepest
        self._readers: dict[str, Callable[[Node, int], Piece]] = {
            "statement_block": self.block,
            "parenthesized_expression": self._bracketed,
            "number": _number,
            "string": _string,
            "template_string": self._template,
            "unary_expression": self._unary,
            "binary_expression": self._binary,
            "augmented_assignment_expression": self._augmented,
            "update_expression": self._step,
            "assignment_expression": self._assignment,
            "expression_statement": self._expression,
            "variable_declarator": self._declarator,
            "lexical_declaration": self._declaration,
            "variable_declaration": self._declaration,
            "function_declaration": self._function,
            "arrow_function": self._arrow,
            "function_expression": self._arrow,
            "if_statement": self._if,
            "for_in_statement": self._for,
        }
        # What `var` gives twice is one name for two values or a change: neither is what `let` says.
        given = Counter(_declared_by_var(root))
        self._given_twice = frozenset(name for name, count in given.items() if count > 1)

    def piece(self, node: Node, depth: int) -> Piece:
        if depth > self._deepest:
            return Piece("deep", "", (), _place(node))
        if node.has_error or node.type not in self._readers:
            return self._any(node, depth)
        return self._readers[node.type](node, depth)

    def block(self, node: Node, depth: int) -> Piece:
        """Statements; a statement that stands where a block could is a block of one."""
        is_one = node.type not in ("statement_block", "program")
        parts = [node] if is_one else [part for part in node.named_children if part.type not in _IDLE]
        made = tuple(piece for part in parts for piece in self._statements(part, depth + 1))
        return Piece("block", "", made, _place(node))

    def _statements(self, node: Node, depth: int) -> Iterator[Piece]:
        if node.type == "expression_statement" and node.named_child_count == 1:
            inner = node.named_children[0]
            if inner.type == "string":  # "use strict"
                return
        piece = self.piece(node, depth)
        yield from piece.children if piece.kind == "declarations" else (piece,)

    def _any(self, node: Node, depth: int) -> Piece:
        if not node.child_count:
            kind = "name" if node.type == "identifier" else node.type
            return Piece(kind, text_of(node), (), _place(node))
        words = [text_of(part) for part in node.children if not part.is_named]
        parts = [part for part in node.named_children if part.type not in _IDLE]
        made = [self._body(part, depth) for part in parts]
        known = {"return_statement": "return", "arguments": "list", "formal_parameters": "list"}
        return Piece(
            known.get(node.type, node.type),
            " ".join(word for word in words if word not in _LAYOUT),
            tuple(made),
            _place(node),
        )

    def _body(self, node: Node, depth: int) -> Piece:
        """What a loop repeats is a block, with brackets or without."""
        parent = node.parent
        body = parent.child_by_field_name("body") if parent is not None else None
        looping = parent is not None and parent.type in ("for_statement", "while_statement", "do_statement")
        return self.block(node, depth) if looping and node == body else self.piece(node, depth + 1)

    def _field(self, node: Node, name: str, depth: int) -> Piece:
        found = node.child_by_field_name(name)
        return self.piece(found, depth + 1) if found is not None else Piece("none", "", (), _place(node))

    def _bracketed(self, node: Node, depth: int) -> Piece:
        inner = [part for part in node.named_children if part.type not in _IDLE]
        return self.piece(inner[0], depth + 1) if len(inner) == 1 else self._any(node, depth)

    def _unary(self, node: Node, depth: int) -> Piece:
        inner, sign = self._field(node, "argument", depth), _sign(node)
        if sign == "-" and inner.kind == "num":
            text = inner.text[1:] if inner.text.startswith("-") else f"-{inner.text}"
            return Piece("num", text, (), _place(node))
        return Piece("unary", sign, (inner,), _place(node))

    def _binary(self, node: Node, depth: int) -> Piece:
        sign = _sign(node)
        sides = (self._field(node, "left", depth), self._field(node, "right", depth))
        return Piece("binary", _SIGNS.get(sign, sign), sides, _place(node))

    def _augmented(self, node: Node, depth: int) -> Piece:
        target, value = self._field(node, "left", depth), self._field(node, "right", depth)
        new = Piece("binary", _sign(node).removesuffix("="), (target, value), _place(node))
        return Piece("assign", "", (target, new), _place(node))

    def _step(self, node: Node, depth: int) -> Piece:
        target = self._field(node, "argument", depth)
        one = Piece("num", "1", (), _place(node))
        new = Piece("binary", _sign(node)[0], (target, one), _place(node))
        return Piece("assign", "", (target, new), _place(node))

    def _assignment(self, node: Node, depth: int) -> Piece:
        sides = (self._field(node, "left", depth), self._field(node, "right", depth))
        return Piece("assign", "", sides, _place(node))

    def _expression(self, node: Node, depth: int) -> Piece:
        inner = self.piece(node.named_children[0], depth + 1)
        return inner if inner.kind == "assign" else Piece("expression", "", (inner,), _place(node))

    def _declaration(self, node: Node, depth: int) -> Piece:
        made = [self.piece(part, depth + 1) for part in node.named_children if part.type not in _IDLE]
        if self._given_twice.intersection(_declared_by_var(node)):
            return Piece("var", "", tuple(made), _place(node))
        return made[0] if len(made) == 1 else Piece("declarations", "", tuple(made), _place(node))

    def _declarator(self, node: Node, depth: int) -> Piece:
        name, value = self._field(node, "name", depth), self._field(node, "value", depth)
        if value.kind == "arrow" and name.kind == "name":
            params, body = value.children
            if body.kind != "block":
                body = Piece("block", "", (Piece("return", "", (body,), body.place),), body.place)
            return Piece("function", name.text, (params, body), _place(node))
        return Piece("declare", "", (name, value), _place(node))

    def _function(self, node: Node, depth: int) -> Piece:
        if node.children[0].type != "function" or not _has_plain_params(node):
            return self._any(node, depth)
        parts = (self._field(node, "parameters", depth), self._field(node, "body", depth))
        return Piece("function", self._field(node, "name", depth).text, parts, _place(node))

    def _arrow(self, node: Node, depth: int) -> Piece:
        if node.children[0].type == "async" or not _has_plain_params(node):
            return self._any(node, depth)
        single = node.child_by_field_name("parameter")
        params = self._field(node, "parameter" if single is not None else "parameters", depth)
        if single is not None:
            params = Piece("list", "", (params,), params.place)
        body = self._field(node, "body", depth)
        if body.kind == "block" and len(body.children) == 1 and body.children[0].kind == "return":
            body = (body.children[0].children or (body,))[0]
        return Piece("arrow", "", (params, body), _place(node))

    def _if(self, node: Node, depth: int) -> Piece:
        test, then = self._field(node, "condition", depth), node.child_by_field_name("consequence")
        otherwise = node.child_by_field_name("alternative")
        none = Piece("block", "", (), _place(node))
        last = [part for part in otherwise.named_children if part.type not in _IDLE] if otherwise else []
        blocks = (
            self.block(then, depth) if then is not None else none,
            self.block(last[0], depth) if last else none,
        )
        return Piece("if", "", (test, *blocks), _place(node))

    def _for(self, node: Node, depth: int) -> Piece:
        body = node.child_by_field_name("body")
        kind, sign = node.child_by_field_name("kind"), _sign(node)
        if body is None or kind is None or sign != "of":
            return self._any(node, depth)
        parts = (
            self._field(node, "left", depth),
            self._field(node, "right", depth),
            self.block(body, depth),
        )
        return Piece("for", "", parts, _place(node))

    def _template(self, node: Node, depth: int) -> Piece:
        """`a${b}` as "a" + String(b)."""
        made: list[Piece] = []
        for part in node.named_children:
            if part.type == "template_substitution":
                inner = self.piece(part.named_children[0], depth + 1)
                called = Piece("name", "String", (), inner.place)
                listed = Piece("list", "", (inner,), inner.place)
                made.append(Piece("call_expression", "", (called, listed), inner.place))
            elif made and made[-1].kind == "str":
                made[-1] = Piece("str", made[-1].text + _unescaped(part), (), made[-1].place)
            else:
                made.append(Piece("str", _unescaped(part), (), _place(part)))
        if not made or (len(made) == 1 and made[0].kind == "str"):
            return Piece("str", made[0].text if made else "", (), _place(node))
        return reduce(lambda left, right: Piece("binary", "+", (left, right), _place(node)), made)


def _has_plain_params(node: Node) -> bool:
    params = node.child_by_field_name("parameters")
    return params is None or all(part.type in ("identifier", *_IDLE) for part in params.named_children)


def _declared_by_var(root: Node) -> Iterator[str]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        waiting.extend(node.named_children)
        if node.type == "variable_declaration":
            for part in node.named_children:
                name = part.child_by_field_name("name")
                if name is not None:
                    yield text_of(name)


def _sign(node: Node) -> str:
    found = node.child_by_field_name("operator")
    return text_of(found) if found is not None else ""


def _number(node: Node, _: int) -> Piece:
    if text_of(node).endswith("n"):  # an integer of another type
        return Piece("bigint", text_of(node), (), _place(node))
    value = number_of(text_of(node))
    whole = value == value // 1 and abs(value) < 2**53
    return Piece("num", str(int(value)) if whole else repr(value), (), _place(node))


def _string(node: Node, _: int) -> Piece:
    text = "".join(map(_unescaped, node.named_children))
    # A sign beyond the first 65536 may be written as two halves.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return Piece("str", text, (), _place(node))


def _unescaped(node: Node) -> str:
    text = text_of(node)
    if node.type != "escape_sequence":
        return text
    found = _CODE_POINT.fullmatch(text)
    if found is not None:
        return chr(min(int(found[1], 16), 0x10FFFF))
    return _ESCAPES.get(text[1:], text[1:])


def _place(node: Node) -> Place:
    return Place(*node.start_point, *node.end_point)
